"""What O'Neill et al. 2024 report of steering, to stand beside ours: data only, read off their figure 2."""

CITATION = "O'Neill et al. 2024, figure 2"
JUDGE = "gpt-4o, among five labels; 50 queries each for cs.LG and astro-ph"
CHANCE = 0.2

# (method, cosine of original and steered query, share told rightly of raised and of lowered features)
STEERED = "papers: SAE"
REWRITTEN = "papers: rewriting"
POINTS = (
    (STEERED, 0.20, 0.94, 0.60),
    (STEERED, 0.35, 0.88, 0.54),
    (STEERED, 0.70, 0.78, 0.52),
    (STEERED, 0.90, 0.42, 0.38),
    (STEERED, 0.95, 0.32, 0.36),
    (REWRITTEN, 0.72, 0.58, 0.40),
)
