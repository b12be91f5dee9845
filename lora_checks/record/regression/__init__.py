"""Compare a run with the last approved release (``--lora-baseline report.json``), or reports with each other.

The release is called "approved" here, because elsewhere in the code ``baseline`` means the images made
without the LoRA. Everything follows from two reports: whether they can be compared (`comparable`), the
difference of one row on the same prompts and seeds (`changes`), its verdict (`judging`), and the part of the
document about it (`against`). `lora_checks.record.shapes.comparison` has the types.

A run with ``--lora-baseline`` has ``document["baseline"]``::

    {"path": "gate/approved.json", "sha256": "...",        # of --lora-baseline; "" for `none`
     "lora": "good", "lora_sha256": "...", "scale": 1.0,   # the approved LoRA in it; scale null: unknown
     "finished": "2026-11-02T10:00:00+00:00", "policy": "...",  # when it was judged, digest of its policy
     "note": "",                     # what to know first, such as that nothing was compared
     "policy_differences": ["identity: min 0.450 -> 0.400, looser", "prompts changed", ...],
     "notes": ["made with torch 2.13.0, now torch 2.14.1", ...],  # differences that prevent nothing
     "pictures": [{"name": "red/1", "prompt": "red", "seed": 1, "sha256": "...", "file": "..."}, ...],
                                     # as the approved report has them; the files may be gone
     "rows": [{"lora": "new",        # each LoRA of this run is compared
               "check": "identity",  # the row of the policy
               "metric": "arcface", "label": "arcface",    # label: for people
               "better": "higher",   # or "lower": which way the row's limit wants it
               "kind": "images",     # "images": a difference for each pair of images; "set": between two
                                     # sets, with each prompt's part; "value": of two numbers, no interval
               "before": 0.61, "value": 0.58, "difference": -0.03,  # value - before, over the pairs
               "low": -0.05, "high": -0.01,  # interval of the difference; null where there is none
               "confidence": 0.95, "sides": 2,
               "pairs": 32,          # images with a value in both
               "lost": 0, "found": 0,  # images with a value (a face) only before, only now
               "absent": 0,          # images that only one of the two runs made
               "allowed": 0.02,      # worsening, in the row's own unit; null where the policy limits none
               "outcome": "FAIL",    # of the row whose change_of is "identity"; "" without one
               "reason": "...",      # of the same row
               "not_compared": "",   # why there is no difference; then the numbers are null
               "prompts": [["red", 0.63, 0.51, -0.12], ...]}]}  # before, now, difference; worst first

A prompt has no value in a "set": its numbers are the jackknife's pseudo-values, whose mean is the set's.
"""
