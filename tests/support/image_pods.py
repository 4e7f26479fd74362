"""The chart's pods in the built images: each with its own command, variables and volumes, on a read-only root."""

import os
import subprocess
import uuid
from pathlib import Path

import container
from chart import container as only_container
from chart import ours
from installed_chart import FirstCamera, InstalledChart, TryOut, finished
from kubernetes_api import KubernetesApi

_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
_MEMORY = {"Ki": "k", "Mi": "m", "Gi": "g"}


def readable(folder: Path) -> Path:
    """Let the pods' group read a volume."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, -1, container.USER)
        path.chmod(0o750 if path.is_dir() else 0o440)
    return folder


def job(words: list[str], api: KubernetesApi) -> None:
    """Run the Job that makes keys in its image."""
    mounted = f"--volume={readable(api.account)}:{_ACCOUNT}:ro"
    place = ["--env=KUBERNETES_SERVICE_HOST=127.0.0.1", f"--env=KUBERNETES_SERVICE_PORT={api.port}"]
    run = [str(container.PODMAN), *container.HARDENED, "--network=host", mounted, *place]
    done = finished([*run, f"--entrypoint={words[0]}", container.IMAGES["box"], *words[1:]], os.environ)
    assert done.returncode == 0, done.stdout + done.stderr


class InImages(InstalledChart):
    """Has each command run in the image that its pod names, with the pod's volumes where the pod has them."""

    def here(self, text: str, root: Path) -> str:
        del root  # a pod's files are where they are in the cluster
        for there, here in self.places.items():
            text = text.replace(there, here)
        return text

    def command(self, component: str) -> tuple[list[str], dict[str, str]]:
        words, env = super().command(component)
        return self._run(component, words, env), dict(os.environ)

    def toolbox(self, *words: str) -> subprocess.CompletedProcess[str]:
        _, env = super().command("toolbox")
        return finished(self._run("toolbox", ["/opt/moretta/bin/moretta", *words], env), os.environ)

    def _run(self, component: str, words: list[str], env: dict[str, str]) -> list[str]:
        pod = ours(self.objects)[component]
        one, volumes = only_container(pod), {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        options = [f"--env={name}={value}" for name, value in env.items() if name not in {"PATH", "TMPDIR"}]
        for mount in one["volumeMounts"]:
            if (memory := volumes[mount["name"]].get("emptyDir")) is not None:
                size = memory["sizeLimit"]
                options.append(f"--tmpfs={mount['mountPath']}:size={size[:-2]}{_MEMORY[size[-2:]]},mode=1777")
            else:
                folder = readable(self.folder / component / mount["name"])
                options.append(f"--volume={folder}:{mount['mountPath']}:ro")
        image = one["image"].rpartition("/")[2].partition(":")[0]
        name = f"{component}-{uuid.uuid4().hex[:8]}"
        run = [str(container.PODMAN), *container.HARDENED, "--name", name, "--network=host", *options]
        return [*run, f"--entrypoint={words[0]}", image, *words[1:]]


class TryOutInImages(InImages, TryOut):
    """The try-out."""


class FirstCameraInImages(InImages, FirstCamera):
    """The first camera."""
