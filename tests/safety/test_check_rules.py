"""Is what switches a check off named, and is what bandit looks for covered or left out for a reason?"""

from __future__ import annotations

import pytest

from crews.safety.sensitivity import findings
from tests.safety.builders import change

BANDIT: dict[str, tuple[str, str]] = {
    "B101": ("checks_weakened", "-assert user.is_owner(thing)"),
    "B102": ("process", "exec(code)"),
    "B103": ("permissions", "os.chmod('x', 0o777)"),
    "B104": ("checks_weakened", "server.bind(('0.0.0.0', 80))"),
    "B105": ("auth", "password = 'hunter2'"),
    "B106": ("auth", "connect(password='hunter2')"),
    "B107": ("auth", "def connect(password='hunter2'): ..."),
    "B108": (
        "",
        "a fixed name in /tmp is everyday in scripts and tests; what writes there runs in the sandbox",
    ),
    "B110": ("checks_weakened", "try: f()\nexcept Exception: pass"),
    "B112": ("checks_weakened", "for x in y:\n    try: f()\n    except Exception: continue"),
    "B113": ("network", "requests.get(url)"),
    "B201": ("checks_weakened", "app.run(debug=True)"),
    "B202": ("permissions", "tar.extractall()"),
    "B301": ("process", "x = pickle.loads(data)"),
    "B302": ("process", "x = marshal.loads(data)"),
    "B303": ("crypto", "h = Crypto.Hash.MD5.new()"),
    "B304": ("crypto", "c = Crypto.Cipher.DES.new(k)"),
    "B305": ("crypto", "m = cryptography.hazmat.primitives.ciphers.modes.ECB()"),
    "B306": ("permissions", "name = tempfile.mktemp()"),
    "B307": ("process", "x = eval(text)"),
    "B308": ("checks_weakened", "x = mark_safe(text)"),
    "B310": ("network", "urllib.request.urlopen(url)"),
    "B311": ("", "random numbers are everyday; beside keys and passwords those words speak"),
    "B312": ("network", "t = telnetlib.Telnet(host)"),
    "B313": (
        "",
        "parsing XML is everyday; whether its source is hostile cannot be seen in a change",
    ),
    "B314": ("", "as B313"),
    "B315": ("", "as B313"),
    "B316": ("", "as B313"),
    "B317": ("", "as B313"),
    "B318": ("", "as B313"),
    "B319": ("", "as B313"),
    "B321": ("network", "f = ftplib.FTP(host)"),
    "B323": ("crypto", "c = ssl._create_unverified_context()"),
    "B324": ("crypto", "h = hashlib.new('md5')"),
    "B401": ("network", "import telnetlib"),
    "B402": ("network", "import ftplib"),
    "B403": ("process", "import pickle"),
    "B404": ("process", "import subprocess"),
    "B405": ("", "as B313"),
    "B406": ("", "as B313"),
    "B407": ("", "as B313"),
    "B408": ("", "as B313"),
    "B409": ("", "as B313"),
    "B411": ("network", "import xmlrpc.client"),
    "B412": ("network", "from wsgiref.handlers import CGIHandler"),
    "B413": ("crypto", "from Crypto.Cipher import AES"),
    "B415": ("network", "import pyghmi"),
    "B501": ("crypto", "requests.get(url, verify=False)"),
    "B502": ("crypto", "c = ssl.wrap_socket(s, ssl_version=ssl.PROTOCOL_SSLv3)"),
    "B503": ("crypto", "def f(version=ssl.PROTOCOL_TLSv1): ..."),
    "B504": ("crypto", "s = ssl.wrap_socket(s)"),
    "B505": ("crypto", "k = rsa.generate_private_key(3, 512)"),
    "B506": ("process", "x = yaml.load(text)"),
    "B507": ("checks_weakened", "client.set_missing_host_key_policy(AutoAddPolicy)"),
    "B508": ("network", "c = CommunityData('public', mpModel=0)"),
    "B509": ("network", "u = UsmUserData('name')"),
    "B601": ("network", "c = paramiko.SSHClient()"),
    "B602": ("process", "Popen(line, shell=True)"),
    "B603": ("process", "subprocess.run(parts)"),
    "B604": ("process", "start(line, shell=True)"),
    "B605": ("process", "os.system(line)"),
    "B606": ("process", "os.execl('/bin/ls', 'ls')"),
    "B607": ("process", "subprocess.run(['ls'])"),
    "B608": ("sql", "q = 'SELECT a FROM b WHERE c = ' + d"),
    "B609": ("process", "os.system('tar cf a.tar *')"),
    "B610": ("sql", "rows = Thing.objects.extra(where=[text])"),
    "B611": ("sql", "x = RawSQL(text, [])"),
    "B612": ("process", "t = logging.config.listen(9999)"),
    "B613": ("checks_weakened", "x = 1  # \u202e }"),
    "B614": ("process", "m = torch.load(path)"),
    "B615": ("dependencies", "m = AutoModel.from_pretrained(name)"),
    "B701": ("checks_weakened", "import jinja2\ne = jinja2.Environment(autoescape=False)"),
    "B702": ("checks_weakened", "import mako.template\nt = mako.template.Template(text)"),
    "B703": ("checks_weakened", "x = mark_safe(text)"),
    "B704": ("checks_weakened", "x = markupsafe.Markup(text)"),
}
"""Every test of bandit 1.9.4: our category and code that it speaks of, or, without one, why not."""


@pytest.mark.parametrize("number", [n for n, (category, _) in BANDIT.items() if category])
def test_what_bandit_looks_for_is_named(number: str) -> None:
    category, code = BANDIT[number]
    gone = code.startswith("-")
    old, new = (code[1:] + "\n", "") if gone else ("", code + "\n")

    found = findings((change("src/a.py", "x = 1\n" + old, "x = 1\n" + new),))

    assert category in {finding.category for finding in found}
    assert all(finding.line for finding in found)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("a.py", "x = f()  # noqa: F821"),
        ("a.py", "x = f()  # type: ignore[arg-type]"),
        ("a.py", "# pylint: disable=all"),
        ("a.ts", "// @ts-ignore"),
        ("a.js", "/* eslint-disable */"),
        ("a.go", "f() //nolint:errcheck"),
        ("a.rb", "x # rubocop:disable all"),
        ("a.java", '@SuppressWarnings("all")'),
        ("a.rs", "#![allow(unused_must_use)]"),
        ("a.sh", "# shellcheck disable=SC2086"),
        (".github/workflows/a.yml", "      run: make test || true"),
        (".github/workflows/a.yml", "    continue-on-error: true"),
        (".gitlab-ci.yml", "  allow_failure: true"),
        ("ci/a.sh", "set +e"),
        ("azure-pipelines.yml", "  continueOnError: true"),
        ("settings.py", 'ALLOWED_HOSTS = ["*"]'),
        ("settings.py", "CORS_ALLOW_ALL_ORIGINS = True"),
        ("a.js", "res.header('Access-Control-Allow-Origin', '*')"),
        ("a.js", "app.use(cors())"),
        ("a.cs", "policy.AllowAnyOrigin();"),
        ("main.tf", 'cidr_blocks = ["0.0.0.0/0"]'),
        ("settings.py", "SESSION_COOKIE_SECURE = False"),
        ("a.yml", "privileged: true"),
        ("a.yml", "  - seccomp=unconfined"),
        ("ssh_config", "StrictHostKeyChecking no"),
        ("a.html", "{{ text|safe }}"),
        ("a.jsx", "<p dangerouslySetInnerHTML={x} />"),
        ("a.js", "try { f() } catch (e) {}"),
    ],
)
def test_a_line_that_weakens_a_check(path: str, line: str) -> None:
    found = findings((change(path, "x\n", f"x\n{line}\n"),))

    assert 2 in {f.line for f in found if f.category == "checks_weakened"}


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("a.py", "    assert balance >= amount"),
        ("a.java", "    Preconditions.checkNotNull(user);"),
        ("a.c", "    assert(len < sizeof(buf));"),
        ("a.py", "@login_required"),
        ("a.py", "@permission_required('shop.sell')"),
        ("a.py", "    raise PermissionDenied"),
        ("a.rb", "  before_action :authenticate_user!"),
        ("a.cs", "  [Authorize(Roles = x)]"),
        ("a.ts", "  @UseGuards(RolesGuard)"),
        ("a.php", "  if (!current_user_can('edit')) wp_die(); check_access($x);"),
        ("a.py", "    data = validate(data)"),
        ("a.py", "    name = escape(name)"),
    ],
)
def test_a_check_that_is_gone_and_not_elsewhere(path: str, line: str) -> None:
    kept = findings((change(path, f"x\n{line}\ny\n", f"x\nz\n  {line}\ny\n"),))
    gone = findings((change(path, f"x\n{line}\ny\n", "x\ny\n"),))

    assert [f.line for f in gone if f.category == "checks_weakened"][:1] == [2]
    assert not [f for f in kept if f.category == "checks_weakened"]


@pytest.mark.parametrize(
    "line",
    [
        "x = a or b",
        "host = '127.0.0.1'",
        "version = '1.0.0.0'",
        "strict = True",
        "debug = level > 3",
        "for path in paths: yield path",
        "allowed = ['example.org']",
        "names = [n for n in all_of_them]",
        "except KeyError as error:",
    ],
)
def test_plain_lines(line: str) -> None:
    found = findings((change("a.rb", "x\n", f"x\n{line}\n"),))

    assert not [f for f in found if f.category == "checks_weakened"]
