"""A plugin in, what it does not honour of its contracts out: each component tried for real on small audio and models.

Reading order: report (what comes out), rules (what is asked, each with its repair), target (which plugin), bench (what
trials share), examine (which trials are made), then one file an idea and one file a kind.
"""

from __future__ import annotations

from voxcli.contract.examine import examine
from voxcli.contract.report import Remark, Report, Trial

__all__ = ["Remark", "Report", "Trial", "examine"]
