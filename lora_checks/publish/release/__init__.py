"""Turn a verdict into a release: sign what a report claims, and check it against a file and a policy.

claim       what a report claims about one LoRA
statement   claim <-> in-toto Statement v1 with the predicate test-result v0.1
keys        statement <-> DSSE envelope, signed with a key
keyless     statement <-> Sigstore bundle, signed with the identity of a CI job
wanted      what a release requires, recomputed from the LoRA and the policy
differences the reasons why a claim does not meet a release's requirements
"""
