"""From a verdict to a release: what a report claims, signed, and held against a file and a policy.

claim       what a report says of one LoRA, and nothing else of it
statement   claim <-> in-toto Statement v1 with the predicate test-result v0.1
keys        statement <-> DSSE envelope, by a key
keyless     statement <-> Sigstore bundle, by the identity of a CI job
wanted      what a release asks for, recomputed from the LoRA and the policy
differences claim against wanted: no sentence, or why it is not released
"""
