"""For tests, of this project and of plugins; needs pytest.

`contracts` are the tests that every implementation has to pass, `installed` installs a plugin for a
test, `surrogate` is a search without training, and `jobs` are what an executor is tried with.
`reference` makes the pages of ``docs/reference``, and `browser` opens pages in a headless Chromium.
"""
