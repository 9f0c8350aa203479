"""Reaching hosts: only known ones, as ssh_config says, with clear errors."""

import os
import re
import shlex
import socket
import subprocess
import threading

import pytest
from asking import look
from support.sshd import make_key

from pytest_remex.errors import RemexError, RemoteError


def known(home):
    return home / ".ssh" / "known_hosts"


def fingerprint(key):
    done = subprocess.run(["ssh-keygen", "-lf", key], check=True, capture_output=True, text=True)
    return done.stdout.split()[1]


@pytest.mark.fabric_only("ssh checks host keys in its own words")
def test_unknown_host_key(home, server, opened):
    """An unknown key is refused before any login, with its fingerprint and how to add it."""
    known(home).write_text("")
    before = server.counts()
    with pytest.raises(RemoteError) as refused:
        opened()
    text = str(refused.value)
    assert "is not in your known_hosts files" in text
    assert fingerprint(server.folder / "host_key.pub") in text
    assert f"ssh-keyscan -p {server.port} 127.0.0.1 >> ~/.ssh/known_hosts" in text
    assert known(home).read_text() == ""
    assert (server.counts() - before).authentications == 0


@pytest.mark.fabric_only("ssh checks host keys in its own words")
@pytest.mark.parametrize("keeps_nothing", ["none", "/dev/null"])
def test_no_file_for_host_keys(home, opened, keeps_nothing):
    """Where ssh_config keeps host keys nowhere, the fix is a file that keeps them, not a scan."""
    config = home / ".ssh" / "config"
    named = config.read_text()
    config.write_text(re.sub("(UserKnownHostsFile) .*", rf"\1 {keeps_nothing}", named))
    with pytest.raises(RemoteError) as refused:
        opened()
    text = str(refused.value)
    assert f"UserKnownHostsFile in ~/.ssh/config, which names {keeps_nothing}, and log in" in text
    assert "ssh-keyscan" not in text
    config.write_text(named)
    look(opened())


@pytest.mark.fabric_only("ssh checks host keys in its own words")
def test_changed_host_key(home, server, opened):
    """A changed key is refused by another message, whose command removes the old key."""
    old = known(home).read_text()
    server.change_host_key()
    with pytest.raises(RemoteError) as refused:
        opened()
    text = str(refused.value)
    assert f"has CHANGED: {known(home)}:1 holds" in text
    assert "possible man-in-the-middle attack" in text
    assert "is not in your known_hosts" not in text
    assert fingerprint(server.folder / "host_key.pub") in text
    assert known(home).read_text() == old
    command = shlex.split(text[text.index("ssh-keygen -R") :])
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(RemoteError, match="is not in your known_hosts"):
        opened()
    known(home).write_text(server.known_host() + "\n")
    look(opened())


@pytest.mark.parametrize(
    "line",
    [
        "[127.0.0.*]:* {key}",
        "127.0.0.1 {key}",
        "!other,[127.0.0.1]:{port},other {key} a comment",
        "# nothing\n\n@cert-authority *.example.org {key}\nnot a line\n[127.0.0.1]:{port} {key}",
        "[127.0.0.1]:{port} ssh-ed25519 A\n[127.0.0.1]:{port} {key}",
        "[127.0.0.1]:{port} ssh-ed25519 \udcff\n[127.0.0.1]:{port} {key}",
        "@cert-authority [127.0.0.1]:{port} ssh-ed25519 AAAA\n127.0.0.1 {key}",
        "[127.0.0.1]:{port} ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7\n[127.0.0.1]:{port} {key}",
    ],
)
def test_known_by(home, server, opened, line):
    """Patterns, a name without the port, lists of names and foreign lines are read as by ssh."""
    key = " ".join(server.known_host().split()[1:])
    known(home).write_bytes(os.fsencode(line.format(key=key, port=server.port) + "\n"))
    look(opened())


def test_known_by_hash(home, opened):
    """Hashed names are found."""
    subprocess.run(["ssh-keygen", "-H", "-f", known(home)], check=True, capture_output=True)
    assert "127.0.0.1" not in known(home).read_text()
    look(opened())


@pytest.fixture
def certify(home, server, tmp_path):
    """Return a function that certifies a host key by an authority, and makes the server show it."""
    make_key(home / "authority")

    def certify(*options, names="127.0.0.1", kind="ed25519", host="-h"):
        key = tmp_path / f"{kind}_host_key"
        words = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", key]
        subprocess.run(words, check=True, capture_output=True)
        words = [
            "ssh-keygen",
            "-q",
            "-s",
            home / "authority",
            "-I",
            "a host",
            *filter(None, [host]),
        ]
        words += ["-n", names, *options, f"{key}.pub"]
        subprocess.run(words, check=True, capture_output=True)
        return server.with_options(HostKey=str(key), HostCertificate=f"{key}-cert.pub")

    authority = (home / "authority.pub").read_text()
    known(home).write_text(f"@cert-authority [127.0.0.1]:{server.port} {authority}")
    return certify


def ssh(home):
    words = ["ssh", "-F", home / ".ssh" / "config", "cluster", "true"]
    return subprocess.run(words, check=False, capture_output=True, timeout=30).returncode


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_authority(home, opened, certify, kind):
    """A host whose key is not known, but certified by a known authority, is accepted as by ssh."""
    with certify(names="elsewhere,127.0.0.1", kind=kind):
        assert ssh(home) == 0
        look(opened())


def test_authority_without_port(home, opened, certify):
    """An authority that is known for a host without its port counts on any port."""
    known(home).write_text(known(home).read_text().replace("[127", "127").replace("]:", " #"))
    text = known(home).read_text().split()
    known(home).write_text(" ".join([*text[:2], *text[3:]]) + "\n")
    with certify():
        look(opened())


@pytest.mark.fabric_only("ssh checks host keys in its own words")
@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"options": ("-V", "20200101:20210101")}, "it expired on 2021-01-01"),
        ({"options": ("-V", "20900101:20910101")}, "it is valid from 2090-01-01 on"),
        ({"names": "elsewhere,127.0.0.2"}, "it is for elsewhere, 127.0.0.2"),
        ({"names": "root", "host": ""}, "it is not a host certificate"),
        ({"options": ("-O", "critical:x=1")}, "it has unknown critical options"),
    ],
)
def test_certificate_that_does_not_count(home, opened, certify, options, why):
    """A certificate that ssh would not accept is refused with the reason, and so is the key."""
    others = {name: value for name, value in options.items() if name != "options"}
    with certify(*options.get("options", ()), **others):
        assert ssh(home) != 0
        with pytest.raises(RemoteError) as refused:
            opened()
    assert f"its certificate is not valid: {why}" in str(refused.value)


@pytest.mark.fabric_only("ssh checks host keys in its own words")
def test_another_authority(home, opened, certify):
    """An unknown authority vouches for nothing; the command that is named adds the key."""
    with certify():
        make_key(home / "other")
        line = known(home).read_text().split()[:2]
        known(home).write_text(f"{' '.join(line)} {(home / 'other.pub').read_text()}")
        assert ssh(home) != 0
        with pytest.raises(RemoteError, match=r"is not in your .*they have only: CA") as refused:
            opened()
        assert f"another authority, {fingerprint(home / 'authority.pub')}" in str(refused.value)
        assert "log in once" not in str(refused.value)
        command = str(refused.value).rpartition("publish, then ")[2]
        subprocess.run(["sh", "-c", command], check=True, capture_output=True)
        look(opened())


@pytest.mark.fabric_only("ssh checks host keys in its own words")
def test_host_without_certificate(home, server, opened, certify):
    """If only an authority is known, a key that came without a certificate is refused."""
    del certify
    with pytest.raises(RemoteError, match="CA, and it came without a certificate"):
        opened()
    with known(home).open("a") as file:
        file.write(server.known_host() + "\n")
    look(opened())


@pytest.mark.fabric_only("ssh checks host keys in its own words")
@pytest.mark.parametrize("place", ["marker", "file"])
def test_revoked_authority(home, server, opened, certify, place, tmp_path):
    """A certificate of a revoked authority is refused."""
    authority = (home / "authority.pub").read_text()
    if place == "marker":
        with known(home).open("a") as file:
            file.write(f"@revoked * {authority}")
    else:
        (tmp_path / "revoked").write_text(authority)
        text = known(home).read_text()
        server.client(home, lines=f"  RevokedHostKeys {tmp_path}/revoked\n")
        known(home).write_text(text)
    with certify():
        assert ssh(home) != 0
        with pytest.raises(RemoteError, match=r"the authority \S+ that certified .*revoked"):
            opened()


def test_revoked(home, server, opened):
    """A revoked key is refused even if another line accepts it."""
    line = server.known_host()
    known(home).write_text(f"{line}\n@revoked {line}\n")
    with pytest.raises(RemoteError, match="is marked @revoked"):
        opened()


@pytest.mark.fabric_only("ssh checks host keys in its own words")
@pytest.mark.parametrize("names", ["*", "[127.0.0.1]:*", "127.0.0.*,[127.0.0.*]:*"])
@pytest.mark.parametrize("plain", [False, True])
def test_revoked_by_pattern(home, server, opened, names, plain):
    """A key that is revoked by a pattern is refused even if a hashed name accepts it."""
    key = " ".join(server.known_host().split()[1:])
    known(home).write_text(f"127.0.0.1 {key}\n" if plain else server.known_host() + "\n")
    subprocess.run(["ssh-keygen", "-H", "-f", known(home)], check=True, capture_output=True)
    with known(home).open("a") as file:
        file.write(f"@revoked {names} {key}\n")
    with pytest.raises(RemoteError, match="is marked @revoked"):
        opened()


@pytest.mark.fabric_only("ssh checks host keys in its own words")
@pytest.mark.parametrize("form", ["list", "KRL"])
def test_revoked_host_keys_file(home, server, opened, form, tmp_path):
    """RevokedHostKeys counts, as a list of keys or a KRL: what it holds is refused, no other."""
    key, other, revoked = server.folder / "host_key.pub", tmp_path / "other", tmp_path / "revoked"
    make_key(other)
    for public, refused in ((other.with_suffix(".pub"), False), (key, True)):
        if form == "list":
            revoked.write_text(public.read_text())
        else:
            subprocess.run(["ssh-keygen", "-q", "-k", "-f", revoked, public], check=True)
        server.client(home, lines=f"  RevokedHostKeys {revoked}\n")
        if refused:
            with pytest.raises(RemoteError, match=f"is revoked in {revoked}"):
                opened()
        else:
            look(opened())


@pytest.mark.fabric_only("ssh checks host keys in its own words")
def test_revoked_host_keys_missing(home, server, opened, tmp_path):
    """If the file named by RevokedHostKeys is missing, no key is accepted, as in ssh."""
    server.client(home, lines=f"  RevokedHostKeys {tmp_path}/none\n")
    with pytest.raises(RemoteError, match=r"cannot read .*/none .*RevokedHostKeys"):
        opened()


@pytest.mark.fabric_only("ssh checks host keys in its own words")
def test_known_elsewhere(home, server, opened, tmp_path):
    """The command that adds an unknown key names the file and the name that ssh_config names."""
    elsewhere = tmp_path / "my known hosts"
    server.client(home)
    config = home / ".ssh" / "config"
    text = re.sub("UserKnownHostsFile .*", f'UserKnownHostsFile "{elsewhere}"', config.read_text())
    config.write_text(f"{text}  HostKeyAlias the-cluster\n")
    elsewhere.touch()
    with pytest.raises(RemoteError, match="is not in your known_hosts") as refused:
        opened()
    command = str(refused.value).rpartition("publish, then ")[2]
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    assert elsewhere.read_text().startswith("the-cluster ")
    look(opened())


def test_key_of_known_kind(home, server, opened, tmp_path):
    """If the server has several keys, it is asked for a known type."""
    second = tmp_path / "ecdsa"
    words = ["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(second)]
    subprocess.run(words, check=True, capture_output=True)
    kind, key = second.with_suffix(".pub").read_text().split()[:2]
    known(home).write_text(f"[127.0.0.1]:{server.port} {kind} {key}\n")
    with server.with_options(HostKey=f"{server.folder}/host_key\nHostKey {second}"):
        look(opened())


def test_included_config(home, opened):
    """Files that ssh_config includes count."""
    config = home / ".ssh" / "config"
    config.rename(home / ".ssh" / "cluster.conf")
    config.write_text(f"Include {home}/.ssh/*.conf\n")
    look(opened())
    config.write_text("Include cluster.*\n")
    look(opened())


def test_host_with_port(home, server, opened):
    """`user@machine:port` needs no entry in ssh_config."""
    key = home / ".ssh" / "id_ed25519"
    key.write_bytes(server.key.read_bytes())
    key.chmod(0o600)
    (home / ".ssh" / "config").unlink()
    look(opened(f"{server.user}@127.0.0.1:{server.port}"))


@pytest.mark.fabric_only("ssh checks host keys in its own words")
def test_unknown_name(opened):
    """A host name that does not exist is named."""
    with pytest.raises(RemoteError, match=r"unknown host 'nowhere\.invalid': correct remex_host"):
        opened("nowhere.invalid")


@pytest.mark.fabric_only("ssh checks host keys in its own words")
def test_refused_port(opened):
    """A closed port is named."""
    with pytest.raises(RemoteError, match=r"127\.0\.0\.1:1 refuses connections"):
        opened("127.0.0.1:1")


@pytest.mark.fabric_only("ssh checks host keys in its own words")
def test_silent_host(home, opened):
    """A host that accepts the connection and sends nothing is given up after ConnectTimeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        (home / ".ssh" / "config").write_text("Host *\n  ConnectTimeout 1\n")
        with pytest.raises(RemoteError, match=f"127.0.0.1:{port} did not answer in 1 s"):
            opened(f"127.0.0.1:{port}")


def test_algorithms_that_only_ssh_has(server, opened):
    """A server that accepts none of Fabric's algorithms is reached as the message says."""
    with server.with_options(KexAlgorithms="sntrup761x25519-sha512@openssh.com"):
        with pytest.raises(RemoteError, match="set remex_transport = openssh"):
            look(opened(transport="fabric"))
        look(opened(transport="openssh"))


def test_busy_host(server, opened):
    """A server that turns connections away for a moment is tried again."""
    with server.with_options(MaxStartups="1:100:1"):
        waiting = socket.create_connection(("127.0.0.1", server.port))
        waiting.recv(64)
        threading.Timer(0.7, waiting.close).start()
        look(opened())
        waiting.close()


@pytest.mark.parametrize(
    "host",
    [
        "",
        "-oProxyCommand=touch x",
        "a;touch x",
        "$(touch x)",
        "`touch x`",
        "a b",
        "a\nb",
        "a\0b",
        "@",
    ],
)
def test_hostile_host(opened, tmp_path, monkeypatch, host):
    """A host that is not a host name is refused, and nothing of it runs."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RemexError, match=re.escape(repr(host))):
        opened(host)
    assert not (tmp_path / "x").exists()


def test_broken_config(home, opened):
    """The message of ssh about a broken configuration is shown."""
    (home / ".ssh" / "config").write_text("Host cluster\n  Frobnicate yes\n")
    with pytest.raises(RemoteError, match="Bad configuration option: frobnicate"):
        opened()
