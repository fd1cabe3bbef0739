"""What do a commit's authors say that it touches? From its subject line alone, by a fixed vocabulary.

The vocabulary and the lists of packages were written down before any result was seen, and are not changed
to improve one. A subject is cut into lower-case words at everything that is no letter or digit, once with and
once without a cut at capitals; a phrase is looked for in both.
"""

from __future__ import annotations

import re

CATEGORIES = ("auth", "permissions", "crypto")

VOCABULARY = {
    "auth": (
        r"(?:un|re)?auth(?:n|enticat\w*)?|login|logins|logon|logout|logoff|signin|signup|sign (?:in|out|up)"
        r"|log (?:in|out)|logged (?:in|out)|passwords?|passwd|passphrases?|credentials?|creds|oauth\w*|openid|oidc"
        r"|saml\w*|jwt|sso|kerberos|gssapi|ntlm\w*|pam|csrf|xsrf|mfa|2fa|two factor|otp|totp|webauthn|fido2?"
        r"|passkeys?|bearer|impersonat\w*|cookies?|session (?:ids?|keys?|tokens?|hijack\w*|fixation)"
        r"|(?:access|auth|api|refresh|security|reset|id|login) tokens?"
    ),
    "permissions": (
        r"permissions?|(?:un)?authori[sz]\w*|authz|acls?|rbac|(?:un)?privileged?|privileges|access (?:control|checks?"
        r"|rights?)|setuid|setgid|suid|sgid|chmod|chown|umask|sudo\w*|polkit|policykit|selinux|apparmor|seccomp"
        r"|sandbox\w*|roles?|ownership|world (?:readable|writable|writeable)|cap (?:sys|net|dac|set|mknod|audit) \w+"
        r"|forbidden|cors"
    ),
    "crypto": (
        r"crypt\w*|(?:en|de)crypt\w*|ciphers?|d?tls(?:v?\d+)?|ssl(?:v?\d+)?|certificates?|certs?|x ?509|pkcs\w*|pki|rsa"
        r"|dsa|ecdsa|ecdh|eddsa|ed25519|diffie hellman|aes\w*|hmac|sha ?(?:1|2|224|256|384|512)|md5|signatures?"
        r"|(?:signing|private|public|secret|session) keys?|key exchange|kex|nonces?|entropy|urandom|random numbers?"
        r"|rng|prng|csprng|drbg|fips|gcm|cbc|openssl|gnutls|nettle|gcrypt|crls?|ocsp|hkdf|pbkdf\w*|bcrypt|scrypt"
        r"|argon2\w*|luks2?|gpg|pgp"
    ),
}

SECURITY_SOFTWARE = frozenset(
    """
    accountsservice apparmor barbican cryptsetup cyrus-sasl2 gnome-keyring gnupg2 gnutls28 keystone krb5 libgcrypt20
    libssh libssh2 nss opensc openldap openssh openssl p11-kit pam policykit-1 python-cryptography ruby-devise
    ruby-doorkeeper shadow sssd strongswan stunnel4 sudo wpa
    """.split()  # noqa: SIM905
)
"""Packages whose own subject is authentication, permissions or cryptography: whatever changes in them touches it,
whether or not the author says so, so that their alarms measure little. They are shown apart as well."""

OTHER_SOFTWARE = frozenset(
    """
    ansible apache2 apt asterisk autofs avahi bind9 bluez busybox cacti celery ceph cifs-utils cinder cloud-init
    consul containerd cups curl dbus designate docker.io dokuwiki dovecot drupal7 edk2 ejabberd emacs etcd evolution
    evolution-data-server exim4 ffmpeg firewalld flask flatpak freerdp2 fwupd gdm3 git gitlab glance glib2.0
    glusterfs gnome-shell golang-1.15 golang-1.19 golang-golang-x-crypto gosa grafana grub2 gtk+3.0 gunicorn gvfs
    haproxy heat horizon icinga2 icingaweb2 imagemagick ipxe iptables ironic jetty9 jinja2 kubernetes libpod
    libreoffice libspring-java libvirt lighttpd linux lvm2 lxc lxd magnum manila mariadb mariadb-10.5 mediawiki
    mercurial mesa modemmanager moin mosquitto mutt mutter netty network-manager neutron nfs-utils nginx node-express
    node-undici nodejs nova octavia packagekit perl php7.4 php8.2 phpmyadmin podman postfix postgresql-13
    postgresql-15 prometheus prosody puppet python-aiohttp python-django python-eventlet python-tornado python-urllib3
    python-werkzeug python3.11 python3.9 qemu rabbitmq-server rails redis redmine requests roundcube rsync ruby-rack
    ruby-sinatra ruby2.7 ruby3.1 runc sahara salt samba snapd sogo spip sqlite3 squid subversion swift systemd
    tigervnc tomcat9 trove twisted u-boot udisks2 unbound util-linux varnish vim wordpress xen xorg-server xrdp zabbix
    """.split()  # noqa: SIM905
)

_CUT = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+")
_PLAIN = re.compile(r"[A-Za-z0-9]+")
_PHRASES = {name: re.compile(rf" (?:{words}) ") for name, words in VOCABULARY.items()}


def labels(subject: str) -> frozenset[str]:
    """The categories that the subject line names."""
    plain = " ".join(_PLAIN.findall(subject)).lower()
    words = f" {' '.join(_CUT.findall(subject)).lower()} | {plain} "
    return frozenset(name for name, phrases in _PHRASES.items() if phrases.search(words))
