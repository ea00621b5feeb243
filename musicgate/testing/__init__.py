"""For authors of plugins and applications: compliance kit, rehearsals, recorded cases, fakes.

Import the modules by name; they are public: `musicgate.testing.compliance`, `musicgate.testing.rehearsal`,
`musicgate.testing.cases`, `musicgate.testing.memory_store` and `musicgate.testing.memory_outbox`. This
package imports none of them, so that a test pays only for what it uses (the kit needs hypothesis).
"""
