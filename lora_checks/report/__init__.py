"""Show the document: terminal, Markdown, HTML, tables, JUnit, GitHub and GitLab."""
