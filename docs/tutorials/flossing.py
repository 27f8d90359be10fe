# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Flossing: exponents that training pushes on
#
# A network whose perturbations die out forgets, and a gradient that is sent back through it dies
# out as well. Gradient flossing trains the Lyapunov exponents themselves: their gradient is exact,
# and a loss on them is a loss like any other. This tutorial differentiates exponents, pushes on
# them, and puts them into an ordinary optax loop.
#
# ## Exponents with a gradient
#
# `rrjax.flossing.exponents` returns the exponents of `rrjax.spectrum` for reverse-mode
# differentiation. The system here is a network of 24 neurons that runs for 40 steps with a random
# input at each.

# %%
from functools import partial

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import rrjax

size, steps = 24, 40
inputs = jax.random.normal(jax.random.key(0), (steps, size))
weights = 0.6 * jax.random.normal(jax.random.key(1), (size, size)) / jnp.sqrt(size)


def network_step(context, z, drive):
    return jnp.tanh(context @ z + 0.3 * drive)


def network(weights):
    return rrjax.Dynamics.from_updates(
        initial=jnp.zeros(size),
        schedule=network_step,
        readout=lambda context, z: z,
        context=weights,
        drive=inputs,
    )


def measure(weights, batch=None):
    return rrjax.flossing.exponents(network(weights), 4, steps, key=jax.random.key(2))


print("exponents:", np.round(measure(weights).values, 3), "nats per update")
gradient = jax.grad(lambda w: measure(w).values[0])(weights)
print("gradient of λ₁:", gradient.shape, f"norm {jnp.linalg.norm(gradient):.2f}")

# %% [markdown]
# You need not take this gradient on trust. The difference of λ₁ along a direction must agree with
# it.

# %%
direction = jax.random.normal(jax.random.key(3), weights.shape)
step = 1e-3
up, down = (measure(weights + sign * step * direction).values[0] for sign in (1, -1))
print(
    f"by difference {(up - down) / (2 * step):.4f}, by gradient {jnp.vdot(gradient, direction):.4f}"
)

# %% [markdown]
# ## Flossing alone
#
# A loss on exponents takes the target in nats per update. `two_sided` pulls every exponent towards
# it, `one_sided` pushes down only those that lie above, and `one_sided_leading` only the first.
# `skip_nonfinite` leaves out a step whose gradient is not finite, and counts it.

# %%
optimizer = rrjax.flossing.skip_nonfinite(optax.adam(3e-3))


def loss(weights):
    return rrjax.flossing.two_sided(measure(weights), target=0.0)


@jax.jit
def floss(weights, state):
    weights, state, _ = rrjax.flossing.flossing_step(loss, optimizer, weights, state)
    return weights, state, measure(weights).values


flossed, state, history = weights, optimizer.init(weights), []
for _ in range(60):
    flossed, state, values = floss(flossed, state)
    history.append(values)
history = np.array(history)
print("skipped steps:", int(rrjax.flossing.num_skipped(state)[1]))

figure, axes = plt.subplots(figsize=(6, 3))
axes.plot(history, label=[f"λ{i}" for i in range(1, 5)])
axes.axhline(0, color="gray", linestyle=":")
axes.set(xlabel="flossing steps", ylabel="nats per update", title="Four exponents move towards 0")
axes.legend(ncols=4)
plt.show()

# %% [markdown]
# ## In an optax loop
#
# In training, the exponents come beside a task. `penalized` wraps any optimizer and adds the
# gradient of weight · penalty at every E-th step. `log_exponents` changes nothing and keeps the
# exponents last measured. The task here is to echo the input of 5 steps ago.

# %%
delay = 5


def task_loss(params, batch=None):
    def run(z, drive):
        z = network_step(params["weights"], z, drive)
        return z, z

    _, states = jax.lax.scan(run, jnp.zeros(size), inputs)
    return jnp.mean((states[delay:] @ params["readout"] - inputs[:-delay]) ** 2)


def measure_params(params, batch):
    return measure(params["weights"])


def train(optimizer, num_steps=150):
    params = {"weights": weights, "readout": jnp.zeros((size, size))}
    state = optimizer.init(params)

    @jax.jit
    def step(params, state):
        value, gradient = jax.value_and_grad(task_loss)(params)
        updates, state = optimizer.update(gradient, state, params, batch=None)
        return optax.apply_updates(params, updates), state, value

    for _ in range(num_steps):
        params, state, value = step(params, state)
    return params, state, value


adam = optax.adam(3e-3)
pushed = rrjax.flossing.penalized(
    adam, measure_params, partial(rrjax.flossing.two_sided, target=0.0), weight=1.0, every=1
)
logged = optax.chain(adam, rrjax.flossing.log_exponents(measure_params, 4, every=10))

plain, plain_state, plain_loss = train(logged)
firm, _, firm_loss = train(pushed)
for name, params, error in (("plain", plain, plain_loss), ("penalised", firm, firm_loss)):
    exponents = np.round(measure(params["weights"]).values, 3)
    print(f"{name:>9}: loss {error:.4f}, exponents {exponents}")
print("logged at step 140:", np.round(plain_state[-1].exponents, 3))

# %% [markdown]
# The penalty brings the exponents close to 0, and the task is learnt more slowly for it: over 5
# steps the gradient arrives anyway, so that the penalty only distracts. `every=10` would cost a
# tenth and push less.
#
# Whether flossing helps depends on the task. At a delay that the gradient cannot span it decides
# everything, and elsewhere it may bring nothing. The [findings](../findings.md) have both:
# Engelken's delayed copy over 40 steps, where flossing takes 55 % of right bits to 99.9 %, and a
# small TRM, where no way of flossing changes the accuracy by what three seeds could show.
#
# The options `--floss.pre 100 --floss.every 500 --floss.episode 5` of `rrjax train` do the same to
# a TRM, HRM or SRM.
#
# ## Exercise
#
# For the linear map z ↦ W z with W = diag(2, ½) and a frame along the axes, λ₁ = ln 2. What is
# ∂λ₁/∂W₁₁? Work it out, then measure it with `rrjax.flossing.exponents(..., frame=jnp.eye(2))`.

# %% tags=["hide-cell"]
# Solution: λ₁ = ln W11, so the derivative is 1 / W11.


def first_exponent(matrix):
    linear = rrjax.Dynamics.from_updates(
        jnp.ones(2), lambda context, z, drive: context @ z, lambda context, z: z, matrix
    )
    return rrjax.flossing.exponents(linear, 2, 5, frame=jnp.eye(2)).values[0]


answer = float(jax.grad(first_exponent)(jnp.diag(jnp.array([2.0, 0.5])))[0, 0])
assert abs(answer - 0.5) < 1e-5
print(answer)
