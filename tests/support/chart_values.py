"""Values with everything on that the chart has, as far as it goes together."""

import yaml
from chart import ROOT, seed

PHONE = {"id": "phone", "url": "whip://", "token_file": "/etc/moretta/secrets/phone"}
SMS = {
    "region": "FR",
    "kannel": {"url": "https://sms.example.org/send", "user": "m", "password_file": "/etc/moretta/secrets/kannel"},
    "reports": {"host": "0.0.0.0", "url": "https://reports.example.org", "token_file": "/etc/moretta/secrets/reports"},
}
_PEERS = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
NODES = [{"ipBlock": {"cidr": "10.0.0.0/24"}}]
PAGE = {
    "page": {"enabled": True, "websocket": "wss://masks.example.org", "open": True},
    "nats": {"websocket": {"enabled": True, "origins": ["https://numbers.example.org"]}},
    "networkPolicy": {"page": _PEERS},
}
"""The page, for whoever reaches it."""
OWN = {
    "podLabels": {"network": "cameras"},
    "serviceAccount": {"annotations": {"example.org/role": "own"}},
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["10.20.0.53"], "searches": ["svc.cluster.local"], "options": [{"name": "ndots"}]},
    "hostAliases": [{"ip": "10.20.0.5", "hostnames": ["gate-1.cameras"]}],
    "initContainers": [
        {
            "name": "authorities",
            "image": f"registry.example.org/authorities@sha256:{64 * 'b'}",
            "command": ["cp", "/etc/company.crt", "/own"],
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "16Mi"}},
            "volumeMounts": [{"name": "own", "mountPath": "/own"}],
        }
    ],
    "extraVolumes": [{"name": "own", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}],
    "extraVolumeMounts": [{"name": "own", "mountPath": "/mnt/own", "subPath": "certificates"}],
}
"""What one adds to a component's pods."""
TLS = {"nats": {"tls": {"enabled": True, "clientSecret": "moretta-tls", "serverSecret": "nats-tls"}}}
"""One NATS server with TLS."""
EVERYTHING = {
    "settings": {
        "sites": [
            {
                "id": "forville",
                "profile": "alerting",
                "cameras": [
                    {"id": "hall-1", "url_file": "/etc/moretta/secrets/hall-1.url", "decoder": "cuda"},
                    {"id": "gate-1", "url": "rtsp://10.20.0.5/stream"},
                    PHONE,
                ],
            }
        ],
        "ingest": {"web": {"certificate": "/etc/moretta/secrets/tls.crt", "key": "/etc/moretta/secrets/tls.key"}},
        "notify": {"sms": SMS},
    },
    "image": {"digests": {"ingest": f"sha256:{64 * 'a'}"}, "pullSecrets": [{"name": "regcred"}]},
    "commonLabels": {"team": "prevention"},
    "ingest": {"gpu": {"count": 1, "runtimeClassName": "nvidia"}, "nodeSelector": {"gpu": "yes"}, **OWN},
    "inference": {
        "keda": {"enabled": True, "serverAddress": "http://prometheus.monitoring.svc:9090"},
        "priorityClassName": "high",
        "tolerations": [{"key": "video", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "podAnnotations": {"example.org/a": "b"},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app.kubernetes.io/component": "inference"}},
            }
        ],
    },
    "extraObjects": [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "{{ .Release.Name }}-own", "namespace": "{{ .Release.Namespace }}"},
            "data": {"a": "b"},
        }
    ],
    "whip": {"enabled": True},
    "page": PAGE["page"]
    | {
        "ingress": {"enabled": True, "className": "nginx", "host": "numbers.example.org", "tlsSecret": "numbers-tls"},
        "httpRoute": {
            "enabled": True,
            "parentRefs": [{"name": "public", "namespace": "gateways"}],
            "hostnames": ["numbers.example.org"],
        },
    },
    "nats": {
        **OWN,
        "replicas": 3,
        "clients": NODES,
        "keys": {"streams": [seed("streams").public]},
        "tls": {"enabled": True, "clientSecret": "moretta-tls", "serverSecret": "nats-tls", "routesSecret": "routes"},
        "storage": {"className": "fast"},
        "resources": {"limits": {"cpu": "2"}},
        "service": {"annotations": {"example.org/a": "b"}},
        "websocket": {"enabled": True, "origins": ["https://numbers.example.org"]},
        "leaf": {
            "hubs": ["tls://hub.example.org:7422"],
            "sites": ["forville"],
            "existingSecret": "leaf",
            "certificateSecret": "leaf-tls",
        },
    },
    "networkPolicy": {"tracing": _PEERS, "reports": _PEERS, "page": _PEERS},
    "monitoring": {
        "podMonitor": {
            "enabled": True,
            "scrapeTimeout": "5s",
            "relabelings": [{"targetLabel": "a", "replacement": "b"}],
        },
        **{name: {"enabled": True} for name in ("prometheusRule", "dashboard", "windowsDashboard")},
    },
    "tracing": {"enabled": True, "endpoint": "https://collector.monitoring.svc:4318", "existingSecret": "collector"},
    "tests": {"roundTrip": {"enabled": True}},
}
AUTOSCALED = {
    "inference": {"autoscaling": {"enabled": True}},
    "nats": {"enabled": False, "url": "nats://nats.nats.svc:4222"},
    "networkPolicy": {"nats": _PEERS},
    "monitoring": {"serviceMonitor": {"enabled": True}},
}
"""What does not go together with the former."""
TRYOUT = yaml.safe_load((ROOT / "k8s/tryout-values.yaml").read_text())
TRYOUT["nats"]["keys"] = None
TRYOUT["settings"] = {"sites": None, "notify": None}
"""The try-out, which has settings of its own, and keys that are made in the cluster."""
