"""Ask a vision model behind HTTP: one file for each API, all of them built on `client.Client`.

What serves which, as source code and pages said in November 2026:

- ``systemone`` (/v1/systemone): transformers serve 5.24, llama.cpp, SGLang, TypeSafe, OpenRouter.
  vLLM 0.32 has it, too, but reads no pictures there.
- ``decisions`` (/v1/decisions): OpenAI, LiteLLM 1.104.2, and vLLM 0.33 in builds that read pictures.
- ``chat`` (/v1/chat/completions): whatever gives ``top_logprobs``; vLLM, SGLang and llama.cpp do.

What a server accepts and ignores comes with HTTP 200. So nothing here trusts a status alone: a reply without
probabilities is missing, and a picture that is never looked at is found by the judge's controls.
"""
