"""Several LoRAs of one run beside each other: a leaderboard, curves, the best checkpoint, what a run did to it.

``document["ranking"]``; null for a run of one LoRA::

    {"by": "policy" | "margins",     # utility as `ranking:` of thresholds.yaml declares it, or from the limits
     "rule": "...",                  # in words: how the utility is made and how the best was chosen
     "weights": [{"check": "identity", "weight": 2.0, "from": 0.2, "to": 0.8}],  # rows with a part in utility
     "gate_only": ["distribution"],  # rows without: sets have no halves, optional rows without a weight
     "split": {"choose": ["red-mint", ...], "judge": ["blue-sky", ...]} | null,  # ids of prompts; null: too few
     "axis": "step" | "epoch" | "scale" | "rank" | null,  # what the curves are over; null: nothing varies
     "leaderboard": [                # best first; a LoRA that fails is never above one that passes
        {"place": 1, "lora": "step-0300", "series": "", "step": 300 | null, "epoch": null, "scale": 1.0 | null,
         "rank": 4 | null, "outcome": "PASS", "stopped_by": ["check", ...],
         "utility": 0.71 | null,     # 0 to 1, on the choosing half (all prompts where there is no split)
         "judged": 0.69 | null,      # the same on the judging half
         "values": {"identity": 0.61 | null, ...}}],  # whole value of every row, by check
     "curves": [                     # one per check with a value; [] where axis is null
        {"check": "identity", "label": "arcface", "better": "higher" | "lower" | "", "required": true,
         "min": 0.45 | null, "max": null, "role": "likeness" | "freedom" | "",  # see `roles`
         "series": [{"name": "",     # of which run, strength and rank, where these vary, too
                     "points": [{"lora": "step-0025", "x": 25, "value": 0.31, "low": 0.25 | null,
                                 "high": 0.37 | null, "outcome": "FAIL"}]}]}],  # x ascending
     "best": {"lora": "step-0300", "step": 300 | null, "utility": 0.71, "judged": 0.69 | null,
              "rows": [{"check": "identity", "label": "arcface", "better": "higher", "weight": 2.0,
                        "choose": {"value": 0.62, "low": 0.58 | null, "high": 0.66 | null, "prompts": 8},
                        "judge": {same} | null}]} | null,   # null: no LoRA passes
     "sentence": "best: step-0300 (step 300), ...",  # or why there is none
     "notes": ["after step 300 identity rises ..., while prompt-adherence falls ...: it overfits", ...]}

`rank` is pure: it reads the document and nothing else.
"""

from __future__ import annotations
