"""A package, so that its fixtures end with it: while Playwright runs, its thread can run no other coroutine."""
