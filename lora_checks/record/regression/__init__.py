"""Comparing with the last approved release (``--lora-baseline report.json``), and reports with each other.

"Approved" is the noun here: the code's ``baseline`` is the base without the LoRA. Everything is a function
of two reports: what may be compared (`comparable`), the difference of one row on the same prompts and seeds
(`changes`), its verdict (`judging`), and the part of the document that tells of it (`section`).

``document["baseline"]`` of a run with ``--lora-baseline``; absent from one without::

    {"path": "gate/approved.json", "sha256": "...",        # the file of --lora-baseline; "" for `none`
     "lora": "good", "lora_sha256": "...", "scale": 1.0,   # the approved LoRA in it; scale null: not known
     "finished": "2026-11-02T10:00:00+00:00", "policy": "...",  # when it was judged, digest of its policy
     "note": "",                     # what to know first, such as that nothing was compared; often ""
     "policy_differences": ["identity: min 0.450 -> 0.400, looser", "prompts changed", ...],
     "notes": ["made with torch 2.13.0, now torch 2.14.1", ...],  # no obstacle, and worth knowing
     "pictures": [{"name": "red/1", "prompt": "red", "seed": 1, "sha256": "...", "file": "..."}, ...],
                                     # the approved LoRA's, as its report has them; the file may be elsewhere
     "rows": [{"lora": "new",        # of this run; each LoRA of it is compared with the one approved
               "check": "identity",  # the row of the policy; its verdict is the check "regression-identity"
               "metric": "arcface", "label": "arcface",    # label: with stat, gain and tag, for people
               "better": "higher",   # or "lower": which way the row's limit wants it
               "kind": "images",     # "images": a difference of each pair of images; "set": of the sets, with
                                     # each prompt's part in it; "value": of two numbers, without an interval
               "before": 0.61, "value": 0.58, "difference": -0.03,  # value - before, over the pairs
               "low": -0.05, "high": -0.01,  # interval of the difference; null where there is none
               "confidence": 0.95, "sides": 2,
               "pairs": 32,          # images with a value in both
               "lost": 0, "found": 0,  # images with a value (a face) only before, only now
               "absent": 0,          # images that only one of the two runs made
               "allowed": 0.02,      # worsening, in the row's own unit; null where the policy limits none
               "outcome": "FAIL",    # of "regression-identity"; "" where there is no such check or verdict
               "reason": "...",      # its sentence
               "not_compared": "",   # why there is no difference, a sentence; then the numbers are null
               "prompts": [["red", 0.63, 0.51, -0.12], ...]}]}  # before, now, difference; worst first

A prompt of a "set" has no value of its own: its numbers are the jackknife's pseudo-values, whose mean is
the set's.
"""
