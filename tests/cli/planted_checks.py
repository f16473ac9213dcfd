"""A plugin file with three checks that find what `findings.json` holds: of recipe, data and audio."""

CHECKS = '''
    import json
    import time
    from pathlib import Path
    from voxcli.api import Finding, Fix, hookimpl
    from voxcli.doctor.context import Unavailable


    class Planted:
        """A check."""

        def run(self, context):
            for one in json.loads(Path("findings.json").read_text()):
                if one.pop("about", "recipe") != self.about:
                    continue
                if one.pop("unavailable", False):
                    raise Unavailable("limits")
                if seconds := one.pop("sleep", 0):
                    Path("sleeping").touch()
                    time.sleep(seconds)
                    continue
                fix = one.pop("fix", None)
                ways = {name: tuple(one.pop(name)) for name in ("path", "utterances") if name in one}
                yield Finding(**one, **ways, fix=Fix(**fix) if fix else None)


    class Recipe(Planted):
        code, name, about = "ACME001", "acme-recipe", "recipe"


    class Data(Planted):
        code, name, about = "ACME002", "acme-data", "data"


    class Audio(Planted):
        code, name, about = "ACME003", "acme-audio", "audio"


    @hookimpl
    def vox_register(registry):
        for check in (Recipe, Data, Audio):
            registry.add("check", check.code, f"{__name__}:{check.__name__}")
    '''
