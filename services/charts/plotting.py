"""matplotlib, imported so that it leaves nothing behind. Import this before anything of matplotlib.

It keeps a list of fonts in the home directory, and reads while it is imported where else: here in a temporary folder,
unless MPLCONFIGDIR names one. Programs that this process starts don't inherit the folder.
"""

import atexit
import os
import tempfile

_VARIABLE = "MPLCONFIGDIR"

if _VARIABLE not in os.environ:
    _scratch = tempfile.TemporaryDirectory(prefix="moretta-")
    atexit.register(_scratch.cleanup)
    os.environ[_VARIABLE] = _scratch.name
    import matplotlib.font_manager  # noqa: F401 - writes the list

    del os.environ[_VARIABLE]
