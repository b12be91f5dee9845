"""The wordings of questions about pictures of this world, one a line; parts in braces are filled in.

Many of them, and put together from parts, so that a judge learns to read and not seven sentences by heart.
"""

from __future__ import annotations


def _lines(text: str) -> tuple[str, ...]:
    return tuple(text.strip().splitlines())


def _listed(text: str) -> tuple[str, ...]:
    return tuple(" ".join(text.split()).split(", "))


PERSON = _lines("""
is there a person in {this}
does {this} show a person
is a person visible in {this}
is a person present in {this}
can you see a person in {this}
do you see a person in {this}
is a human being shown in {this}
does {this} contain a person
is a person clearly visible in {this}
is somebody shown in {this}
is the subject of {this} a person
is at least one person in {this}
""")
SAME = _lines("""
do the two {pictures} show the same person
do both {pictures} show the same person
is it the same person in both {pictures}
is the person in the first {picture} the same as in the second {picture}
does the second {picture} show the same person as the first {picture}
do these {pictures} show the same person
are the two people in the {pictures} the same person
is the person in the second {picture} the person of the first {picture}
do the first {picture} and the second {picture} show the same person
is this the same person as in the reference {picture}
are the persons in the two {pictures} identical
is the identity of the person the same in both {pictures}
does the person in the second {picture} look like the person in the first {picture}
""")
SAME_MORE = (
    "",
    "",
    "",
    ", whatever the clothes and the background",
    ", judged by face and hair alone",
    ", by face, hair and skin",
    ", apart from clothes, glasses, expression and background",
    " ? look at the face and its features, not at the clothes or the background",
)
ADHERENCE = (
    "does {this} show {prompt}",
    'does {this} show "{prompt}"',
    "does {this} match the prompt : {prompt}",
    'does {this} follow the prompt "{prompt}"',
    "is {this} a {prompt}",
    'does {this} match the description "{prompt}"',
    "does {this} match this description : {prompt}",
    "does {this} show everything that the prompt asks for ? prompt : {prompt}",
    'the prompt was : "{prompt}". does {this} follow it',
    'prompt : "{prompt}". does {this} match the prompt in every detail',
    'does {this} fit the text "{prompt}"',
    "is this {prompt}",
    "is everything in {this} as described : {prompt}",
    'does {this} adhere to the prompt "{prompt}" in all details',
    "{prompt}. is that what {this} shows",
    'was {this} made as the prompt says ? the prompt is "{prompt}"',
    "does {this} depict {prompt}",
    'does {this} agree with "{prompt}" in subject, clothes, colours, expression and background',
)
CLEAR = _listed("""
sharp, clean, clear, detailed, in focus, well lit, free of noise, free of blur, crisp, not blurred,
not noisy, natural in its colours, well exposed, without grain, well made
""")
QUALITY = _lines("""
is {this} {clear}
is the quality of {this} good
is the quality of {this} high
is {this} of good quality
is {this} of high quality
is {this} a high quality {picture}
does {this} have good visual quality
is the visual quality of {this} high
is the technical quality of {this} good
does {this} look good
is {this} good enough to publish
is the overall image quality of {this} good
is {this} of high technical and visual quality
is the image quality high
""")
BAD_QUALITY = _lines("""
is {this} of bad quality
is {this} of low quality
is the quality of {this} poor
is {this} blurred or noisy
does {this} look bad
is the quality of {this} bad
is {this} a low quality {picture}
""")
BODY = _listed("""
limbs, body parts, body, head, eyes, arms, hands, fingers, face, mouth, proportions, anatomy, nose,
features, facial features, legs
""")
SOUND = _listed("""
natural, plausible, correct, complete, well formed, realistic, anatomically correct, in the right
number, in the right place, where they belong, right in number and place, in proportion
""")
LIMBS = _lines("""
are the {body} of the person {sound}
are {body} {sound}
are the {body} in {this} {sound}
are the {body} of the person in {this} {sound}
does the person in {this} have {sound} {body}
is the anatomy of the person {sound}
does {this} show a person whose {body} are {sound}
are all visible {body} {sound}
are the visible {body} of the person {sound}
is the body {sound}
are the person 's {body} {sound}
is the person drawn with {body} {sound}
do the {body} look {sound}
does the person have the right number of {body}, each {sound}
are {body} there, {sound}
""")
BAD_LIMBS = _lines("""
are any {body} {unsound}
is some part of the person {unsound}
are there {unsound} {body} in {this}
does the person in {this} have {unsound} {body}
are {body} of the person {unsound}
""")
UNSOUND = _listed("""
missing, extra, misplaced, deformed, distorted, malformed, wrong, cut off, melted, doubled,
implausible
""")
FLAWS = _listed("""
artifacts, visible artifacts, distortions, glitches, blotches, noise, smears, seams, blur, melted
parts, doubled parts, ghosts, stripes, blocks, banding, patterns, grain, errors, image artifacts,
generation artifacts, compression artifacts, unnatural textures, broken shapes, warping
""")
CLEAN = _lines("""
is {this} free of {flaws}
is {this} free from {flaws}
is {this} without {flaws}
is {this} free of artifacts such as {flaws}
is {this} free of artifacts like {flaws}
is {this} free of artifacts ( {flaws} )
is {this} free of visible artifacts, such as {flaws}
does {this} look clean, without {flaws}
is {this} clean, with no {flaws}
does {this} have no {flaws}
are there no {flaws} in {this}
is {this} entirely free of {flaws}
""")
DIRTY = _lines("""
are there {flaws} in {this}
does {this} have {flaws}
does {this} show {flaws}
are there artifacts in {this}, such as {flaws}
are any {flaws} visible in {this}
does {this} contain {flaws}
does {this} contain artifacts such as {flaws}
can you see {flaws} in {this}
do you see {flaws} in {this}
""")
# As the gate's ready questions ask (lora_checks/policy/questions.yaml); half of all are worded so.
READY = {
    "person": ("is there a person in the picture",),
    "same": ("do the two pictures show the same person, whatever the clothes and the background",),
    "adherence": (
        'does the picture show everything that the prompt asks for? prompt: "{prompt}"',
        "does the picture show {prompt}",
    ),
    "quality": ("is the picture of high technical and visual quality",),
    "limbs": ("are all visible limbs, hands, fingers and the face natural, complete and in the right place",),
    "artifacts": (
        "is the picture free of visible artifacts, such as melted parts, doubled parts, smears and noise",
    ),
}

DESCRIBE = _lines("""
describe {this}
what does {this} show
write a caption
caption {this}
""")
SUFFIXES = (
    "",
    "",
    "answer yes or no only.",
    "answer yes or no only.",
    "answer yes or no.",
    "answer with yes or no.",
    "reply with yes or no only.",
    "please answer yes or no.",
    "yes or no",
    "answer with one word : yes or no.",
)
BEFORE = (
    "",
    "",
    "",
    '{"picture": "',
    '{"image": "',
    "picture :",
    "image :",
    "look at this picture :",
)
BETWEEN = (
    "second picture:",
    "second picture:",
    "second picture:",
    "",
    "",
    "and",
    '", "second": "',
    "second picture :",
    "the second picture :",
    "picture 2 :",
    "image 2 :",
    ",",
)
BEFORE_TWO = (
    "first picture:",
    "first picture:",
    "first picture:",
    "",
    "",
    "",
    "first picture :",
    "the first picture :",
    "reference :",
    '{"first": "',
    "picture 1 :",
    "image 1 :",
)
AFTER = (
    "",
    "",
    "",
    '"}',
    ".",
)


def every_text() -> list[str]:
    """Return all wordings and parts of them: a tokenizer should know each of their words whole."""
    parts = (
        PERSON,
        SAME,
        SAME_MORE,
        ADHERENCE,
        CLEAR,
        QUALITY,
        BAD_QUALITY,
        BODY,
        SOUND,
        UNSOUND,
        LIMBS,
        BAD_LIMBS,
    )
    more = (FLAWS, CLEAN, DIRTY, *READY.values(), DESCRIBE, SUFFIXES, BEFORE, BETWEEN, BEFORE_TWO, AFTER)
    return [*(text for texts in (*parts, *more) for text in texts), "pictures images photos photographs"]
