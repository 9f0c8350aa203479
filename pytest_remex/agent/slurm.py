from typing import Dict
def limits() -> Dict[str, object]:
    return {}
