//! What every code means, for somebody who never saw it: `lint --explain CODE`, and the rules of SARIF.

use std::fmt::{self, Display};

use super::code::{Code, Severity};

/// A code in words.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// Which code.
    pub code: Code,
    /// What it is, without a full stop.
    pub title: &'static str,
    /// Why it matters.
    pub meaning: &'static str,
    /// Lines that have it.
    pub example: &'static str,
    /// What keepalived does.
    pub keepalived: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

impl Severity {
    /// `error`, `warning` or `note`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

impl Display for Explanation {
    /// A few lines, of which the first one names the code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({}): {}", self.code.as_str(), self.code.severity().as_str(), self.title)?;
        writeln!(f, "  {}", self.meaning)?;
        writeln!(f, "  Example:")?;
        for line in self.example.lines() {
            writeln!(f, "    {line}")?;
        }
        writeln!(f, "  keepalived: {}", self.keepalived)?;
        write!(f, "  Remedy: {}", self.remedy)
    }
}

impl Code {
    /// The code of this name, in any case: `E012`, `w076`.
    pub fn named(name: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.as_str().eq_ignore_ascii_case(name))
    }

    /// What the code means.
    pub fn explanation(self) -> Explanation {
        let (title, meaning, example, keepalived, remedy) = text(self);
        Explanation { code: self, title, meaning, example, keepalived, remedy }
    }
}

type Text = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// Title, meaning, example, what keepalived does, remedy.
fn text(code: Code) -> Text {
    match code {
        Code::LineTooLong => (
            "a line is longer than keepalived can read",
            "A line may have 1022 bytes before its line end. What is behind them would be read as another line.",
            "router_id xxxxxxxx... (1023 bytes and more)",
            "2.2 reads the rest as a line of its own; later ones drop the beginning and do the same.",
            "Break the line, or move the long value into a file or a parameter.",
        ),
        Code::NulByte => (
            "a line has a NUL byte",
            "A NUL byte ends a text in C, so what follows it on the line would be lost without a word.",
            "virtual_server 10.0.0.1 80<NUL> {",
            "Reports and drops the line; 2.2 reads the part before the NUL.",
            "Remove the byte. It often means that the file is not UTF-8 or that a disk was full.",
        ),
        Code::UnterminatedQuote => (
            "a quote has no partner",
            "A double quote opens a text and the line ends inside it (for scripts and patterns: a single quote too).",
            "misc_path \"/usr/bin/check --fast",
            "Reports it and drops the words from the quote on.",
            "Close the quote on the same line.",
        ),
        Code::MissingOpenBrace => (
            "a block has no `{`",
            "A keyword that begins a block must be followed by `{`, on its line or alone on the next.",
            "real_server 10.0.0.2 80\n    weight 1\n}",
            "Reports it and takes the next line for the first one inside the block.",
            "Add the `{`.",
        ),
        Code::UnexpectedOpenBrace => (
            "a `{` where no block begins",
            "The keyword before it has no block, so nobody can say what the lines behind it belong to.",
            "weight 1 {",
            "Reports the brace, ignores it, and takes the next `}` for the end of the block around.",
            "Remove the brace, or correct the keyword.",
        ),
        Code::ExtraCloseBrace => (
            "a `}` closes nothing",
            "There are more `}` than `{` up to this place. The brace that is really too much may stand further up.",
            "}\n}",
            "Reports it and goes on.",
            "Compare the braces of the block that ends just before.",
        ),
        Code::MissingCloseBrace => (
            "a block is never closed",
            "The file ends inside a block. Everything from the missing `}` on may belong somewhere else.",
            "virtual_server 10.0.0.1 80 {",
            "Says how many braces are missing, without a line, and takes the blocks as closed.",
            "Close the block where the next one begins.",
        ),
        Code::NestedTooDeep => (
            "blocks are nested deeper than any keyword allows",
            "Nothing of keepalived nests this deep; the file is damaged or made by a program that is.",
            "a { b { c { d { ...",
            "Has no limit.",
            "Look for a lost `}` above.",
        ),
        Code::UnknownKeyword => (
            "no such keyword",
            "The word is a keyword of no block, so what the line was meant to say is lost.",
            "wieght 10",
            "Reports it and drops the line; the content of a block behind it is read as if it stood in the block around.",
            "Correct the spelling; the message names the nearest keyword.",
        ),
        Code::MisplacedKeyword => (
            "a keyword that belongs into another block",
            "The word is a keyword, but not of this block.",
            "virtual_server 10.0.0.1 80 {\n    misc_path /bin/true\n}",
            "Reports an unknown keyword and drops the line.",
            "Move it to the block that the message names. Often a `}` is missing above.",
        ),
        Code::MissingArgument => (
            "a keyword without its value",
            "The keyword needs a value and the line ends before it.",
            "delay_loop",
            "Ends at once, with exit code 2, in a configuration test and in a daemon that starts.",
            "Add the value.",
        ),
        Code::BadNumber => (
            "not a decimal number",
            "Numbers are decimal digits and nothing else: no sign, no 0x, no unit.",
            "weight 3abc",
            "A test refuses it; a running daemon warns and uses the digits at the beginning.",
            "Write digits only.",
        ),
        Code::OutOfRange => (
            "a number outside its range",
            "The message names the range. The value before, or the default, would be kept.",
            "connect_port 70000",
            "Reports it and keeps the old value.",
            "Choose a value of the range.",
        ),
        Code::BadTimer => (
            "not a time in seconds",
            "Times are decimal seconds, perhaps with up to six decimals. There are no units.",
            "delay_loop 6s",
            "Reports it and yet uses 6 microseconds: it fills the digits up to microseconds.",
            "Write 6, or 0.5 for half a second.",
        ),
        Code::BadBoolean => (
            "not a boolean",
            "One of on, true, yes, off, false, no, in lower case; or nothing, which means on.",
            "alpha On",
            "Reports it and ignores the line.",
            "Use one of the six words.",
        ),
        Code::BadAddress => (
            "not a numeric address",
            "Addresses are IPv4 or IPv6 in digits: no names, no brackets, no %interface.",
            "real_server www.example.com 80 {",
            "Reports it and skips the block. A bad connect_ip makes the checker fail to open a socket at every run, so that the server stays up.",
            "Write the address.",
        ),
        Code::BadPort => (
            "not a port",
            "A port is 1 to 65535.",
            "real_server 10.0.0.2 http {",
            "Reports it and skips the block.",
            "Write the number of the port.",
        ),
        Code::BadChoice => (
            "a word that is none of a closed set",
            "The message names the words that are possible.",
            "lvs_method ROUTE",
            "Reports it and keeps the default.",
            "Use one of the words.",
        ),
        Code::FamilyMismatch => (
            "IPv4 and IPv6 where they must agree",
            "A virtual server, its real servers and its group are of one family (unless packets are tunnelled), and so are source and target of a check.",
            "virtual_server 10.0.0.1 80 {\n    real_server 2001:db8::2 80 { ... }",
            "Skips the real server, or ignores the later of the two addresses.",
            "Make two virtual servers, one for each family.",
        ),
        Code::LinkLocal => (
            "a link-local target without an interface",
            "fe80:: addresses exist once on every link, so the interface must be named.",
            "connect_ip fe80::1",
            "Drops the checker.",
            "Add `bind_if eth0`.",
        ),
        Code::NoPort => (
            "nothing says which port to check",
            "Neither the checker, the real server nor the virtual server names a port. Those of a group are the ports \
             of the service: a checker never takes one from there.",
            "virtual_server fwmark 5 {\n    real_server 10.0.0.2 { TCP_CHECK { } }",
            "Contacts port 0, which always fails.",
            "Add `connect_port` to the checker.",
        ),
        Code::BadBfdInstance => (
            "a `bfd_instance` without a neighbor",
            "It needs a `neighbor_ip` that is an address, of the family of `source_ip` if there is one.",
            "bfd_instance peer {\n    neighbor_ip peer.example.com\n}",
            "Drops it, so that a BFD_CHECK of its name is dropped too.",
            "Write the address of the neighbor.",
        ),
        Code::BadDnsName => (
            "not a domain name",
            "Labels have 1 to 63 bytes, a name at most 253.",
            "name www..example.com",
            "Reports some of these and asks for the root instead; a label that is too long it sends damaged.",
            "Correct the name.",
        ),
        Code::UnknownDnsType => (
            "no such record type",
            "One of A NS CNAME SOA MX TXT AAAA RRSIG DNSKEY, in any case.",
            "type HTTPS",
            "Reports it and keeps the type before, SOA at first.",
            "Ask for a type of the list.",
        ),
        Code::BadInterface => (
            "not the name of an interface",
            "A name has 1 to 15 bytes without blanks and slashes.",
            "bind_if interface-number-one",
            "Reports it and ignores the line.",
            "See `ip link` for the names.",
        ),
        Code::UnknownGroup => (
            "a group that is not defined",
            "A `virtual_server group NAME` needs a `virtual_server_group NAME` with something in it, anywhere in the configuration.",
            "virtual_server group wbe {",
            "Drops the virtual server and only logs it: a test says nothing.",
            "Correct the name, or define the group.",
        ),
        Code::BadGroupMember => (
            "not a line of a group",
            "ADDR, ADDR-N, ADDR-ADDR or ADDR/PREFIX with a port behind it or not, or `fwmark N`.",
            "10.0.0.0/33 80",
            "Reports and drops the line.",
            "Correct the line.",
        ),
        Code::NotUtf8 => (
            "bytes that are not UTF-8",
            "This value is shown and compared as text.",
            "virtualhost caf\\xe9.example",
            "Takes any bytes.",
            "Convert the file to UTF-8.",
        ),
        Code::BadCommand => (
            "not a command that can be run",
            "Quotes inside the command do not match, or there is no program in it.",
            "misc_path \"/bin/check 'a\"",
            "Drops the checker.",
            "Put the whole command in double quotes and arguments with blanks in single quotes.",
        ),
        Code::NoCommand => (
            "a checker that runs a script, without one",
            "A MISC_CHECK needs `misc_path`.",
            "MISC_CHECK {\n    misc_timeout 5\n}",
            "Reports it and drops the checker.",
            "Add `misc_path`.",
        ),
        Code::UnknownUser => (
            "no such user or group",
            "The script's user or group is not known on this machine.",
            "user chekcer",
            "Drops the checker.",
            "Create the user, or name another.",
        ),
        Code::NoScriptUser => (
            "nothing says whom scripts run as",
            "Neither `user` nor `script_user` is written, and there is no user `keepalived_script`.",
            "MISC_CHECK {\n    misc_path /bin/true\n}",
            "Runs the script as root, or, with enable_script_security, drops it.",
            "Add `script_user nobody` to `global_defs`, or create the user keepalived_script.",
        ),
        Code::MissingKeyword => (
            "a block without a keyword that it needs",
            "Without it there is nothing to check, or nothing to check it against.",
            "HTTP_GET {\n    url { status_code 200 }\n}",
            "Reports it and drops the block: the server has one check less.",
            "Add the keyword that the message names.",
        ),
        Code::BadStatusCode => (
            "not a status code of HTTP, nor a range of them",
            "Codes are 100 to 599, ranges are written LOW-HIGH, several are separated by blanks.",
            "status_code 200,204",
            "Reports the word and goes on without it.",
            "Write codes as in `status_code 200-299 304`",
        ),
        Code::BadDigest => (
            "not an MD5 digest",
            "A digest is 32 hexadecimal digits: the MD5 sum of the body.",
            "digest 5eb63bbbe01eeed0",
            "Reports it; the body is then not compared.",
            "Take the digest from `curl URL | md5sum`",
        ),
        Code::BadRegex => (
            "not a regular expression",
            "PCRE2 cannot compile the pattern, after the escapes of the configuration were resolved.",
            "regex \"(unclosed\"",
            "Writes a line into its log and checks without the pattern.",
            "Correct the pattern; the message says where it breaks.",
        ),
        Code::RegexOffsets => (
            "a regular expression that can match nowhere",
            "The match would have to begin behind the place where it must have begun.",
            "regex_min_offset 90\nregex_max_offset 10",
            "Logs it and forgets both.",
            "Exchange the two numbers, or leave one out.",
        ),
        Code::BadHex => (
            "not bytes in hexadecimal digits",
            "Two digits are a byte, blanks separate; in a pattern `x` stands for any digit.",
            "payload 0123zz",
            "Reports it; the payload stays the default one, the pattern is none.",
            "Write bytes as in `payload 01 23 ab`",
        ),
        Code::UnknownName => (
            "a name that no block above has",
            "A track_file or bfd_instance must be defined before the virtual server that names it.",
            "FILE_CHECK { track_file drain }",
            "Reports it and drops the checker: the server has one check less.",
            "Correct the name, or move the definition before the virtual server.",
        ),
        Code::SmtpHost => (
            "a `host` block in an SMTP_CHECK",
            "The block is an old way to write further checkers, and what it makes differs between versions.",
            "SMTP_CHECK {\n    host { connect_ip 10.0.0.9 }\n}",
            "Makes one more checker of each, without the timeout of the real server.",
            "Write an SMTP_CHECK of its own for each address.",
        ),
        Code::SecondName => (
            "a second name, or a second checker of one session",
            "A checker follows one session, and a session needs one checker in a real server.",
            "BFD_CHECK {\n    name peer1\n    name peer2\n}",
            "Reports it and drops the checker.",
            "Keep one name, or write two checkers.",
        ),
        Code::Deprecated => (
            "a keyword by its old name",
            "It means the same as the new one.",
            "nb_get_retry 3",
            "Reports it and takes it.",
            "Write the new name that the message gives.",
        ),
        Code::Repeated => (
            "given twice where one counts",
            "The message says which of the two counts.",
            "digest 5eb63bbbe01eeed093cb22bb8f5acdc3\ndigest d41d8cd98f00b204e9800998ecf8427e",
            "Reports the second one.",
            "Remove the one that does not count.",
        ),
        Code::LostBackslash => (
            "a backslash that does not reach the regular expression",
            "Escapes of the configuration are resolved first, so that `\\d` is `d`.",
            "regex \"^\\d+$\"",
            "Resolves it in the same way, and says nothing.",
            "Write two backslashes: `\\\\d`",
        ),
        Code::UnknownRegexOption => (
            "an option of regular expressions that keepalived does not know",
            "The options are those of PCRE2, in lower case.",
            "regex_options casless",
            "Ignores the word and says nothing.",
            "Correct the word, or remove it.",
        ),
        Code::ReplyLengths => (
            "no reply can be as long as is asked for",
            "The least length is more than the most, or a length limits nothing without a pattern.",
            "min_reply_length 100\nmax_reply_length 10",
            "Reports it and keeps both: every reply fails.",
            "Exchange the two, or leave one out.",
        ),
        Code::OddPath => (
            "a path that is no path of a server",
            "A request is `GET PATH`, and a path begins with `/`.",
            "path index.html",
            "Sends it as it is.",
            "Write the path with its `/`",
        ),
        Code::IncludeUnreadable => (
            "an included file that cannot be read, or is no plain file",
            "An include takes regular files without any execute permission.",
            "includer secret.conf",
            "Reports it; with this kind of include it ends with exit code 6.",
            "Correct the permissions, or use `include` where the file may be missing.",
        ),
        Code::IncludeMissing => (
            "an include that finds no file and must",
            "This kind of include needs a file for every pattern.",
            "includea servers/*.conf",
            "Ends with exit code 6.",
            "Correct the pattern, or use `include` where there may be none.",
        ),
        Code::IncludeCycle => (
            "a file that includes itself",
            "The chain of includes comes back to a file that is still being read, or never ends.",
            "include this-very-file.conf",
            "Reads on until it has no file descriptors left.",
            "Remove one of the includes of the chain.",
        ),
        Code::TooManyFiles => (
            "more files than are read, or a pattern that is none",
            "A pattern is a glob of the shell; its alternatives and its matches are limited.",
            "include /**/*{a,b}{a,b}{a,b}{a,b}",
            "Reads what it finds.",
            "Write a narrower pattern.",
        ),
        Code::ParameterCycle => (
            "a parameter that contains itself",
            "Replacing it would never end.",
            "$A=${B}\n$B=${A}\nrouter_id ${A}",
            "Does not end.",
            "Break the circle that the message shows.",
        ),
        Code::ExpansionTooLong => (
            "a line that is too long once its parameters are replaced",
            "A line may have 1023 bytes after everything is replaced.",
            "router_id ${VERY_LONG}",
            "Leaves the line as it is written, and logs it.",
            "Break the value in two, or use a parameter of several lines.",
        ),
        Code::MultiLineUse => (
            "a parameter of several lines in the middle of a line",
            "Its lines take the place of the rest of the line, so it must be the last thing on it.",
            "real_server 10.0.0.1 80 { $CHECK }",
            "Takes the text for a keyword.",
            "Put the parameter at the end of a line of its own.",
        ),
        Code::IncludeNothing => (
            "an include without the name of a file",
            "The keyword and the name must stand on the same line.",
            "include",
            "Calls it an unknown keyword.",
            "Write the file's name behind it, or take the line out.",
        ),
        Code::ExecutableFile => (
            "a configuration that is executable",
            "keepalived skips a file that anyone may execute, and goes on as if it were empty.",
            "chmod +x keepalived.conf",
            "Logs it and reads nothing: the test of such a file ends with 0, whatever stands in it.",
            "Take the permission away: `chmod a-x FILE`.",
        ),
        Code::BadRepetition => (
            "`~SEQ` or `~LST` that cannot be read",
            "~SEQ(var, start, step, end) counts, ~LST(var, a, b, c) takes one after the other.",
            "~SEQ(I, 1, -1, 9) real_server 10.0.0.${I} 80 {}",
            "Reports it and drops the line.",
            "Correct what the message points at.",
        ),
        Code::TooManyLines => (
            "more lines than a configuration may expand to",
            "A repetition of repetitions grows fast; the limit keeps a slip from taking all memory.",
            "~SEQ(I, 1, 999999) ~SEQ(J, 1, 999999) ...",
            "Goes on until the memory is used up.",
            "Correct the bounds; where so many lines are meant, raise the limit with --max-lines.",
        ),
        Code::OpenDefinition => (
            "a definition that goes on where its file ends",
            "Its last line ends in a backslash, which says that another one follows.",
            "$CHECK=TCP_CHECK { \\",
            "Takes what it has.",
            "Remove the last backslash.",
        ),
        Code::BadRandom => (
            "bounds of a random number that are none",
            "${_RANDOM} takes none, one or two numbers that are not negative.",
            "warmup ${_RANDOM a b}",
            "Takes what it can read of them.",
            "Write `${_RANDOM 1 9}`",
        ),
        Code::UndefinedParameter => (
            "a parameter that is not defined",
            "Without a definition its text stays, and its braces open and close blocks.",
            "weight ${WIEGHT}",
            "Cuts the line at the brace; what follows is read in the wrong block.",
            "Define it above, or correct the name.",
        ),
        Code::BadDefinition => (
            "a definition with a blank before `=`",
            "Only `$NAME=value` defines.",
            "$PORT = 80",
            "Reports an unknown keyword.",
            "Remove the blank.",
        ),
        Code::ExpansionTooDeep => (
            "expansions in expansions in expansions",
            "Parameters of several lines that use each other, deeper than anything means.",
            "$A=x \\\n$B",
            "Follows them.",
            "Write some of it out.",
        ),
        Code::ConditionalDefinition => (
            "a definition of several lines behind a condition that is not met",
            "Only its first line stands behind the condition; the others would be read as lines of the file.",
            "@other $CHECK=TCP_CHECK { \\\n}",
            "Reads the further lines as lines of the file.",
            "Put the condition where the parameter is used.",
        ),
        Code::LineContinued => (
            "a backslash at the end of a line",
            "Lines are not continued; only the definition of a parameter may go on in the next line.",
            "misc_path /bin/check \\\n    --all",
            "Takes the backslash for a part of the last word, and the next line for a line of its own.",
            "Write it all on one line; a long one may use parameters.",
        ),
        Code::Unreadable => (
            "a file that cannot be read",
            "Nothing is known of what stands in it, so nothing can be said of it.",
            "ringprobe lint no-such-file.conf",
            "Ends with exit code 0 in a test of a file that is not there.",
            "Correct the name, or the permissions of the file.",
        ),
        Code::IncludeSkipped => (
            "an include that finds no file, or cannot read it, and need not",
            "What stands in it is not part of the configuration.",
            "include local.conf",
            "Logs it and goes on.",
            "Create the file, or remove the include.",
        ),
        Code::ReversedRandom => (
            "bounds of a random number in the wrong order",
            "The lower one comes first.",
            "${_RANDOM 9 1}",
            "Later ones report it and take the lower one.",
            "Exchange the bounds.",
        ),
        Code::SeveralFiles => (
            "several files where one is usual",
            "The name of the configuration is a pattern, and more than one file matches it.",
            "ringprobe lint '/etc/keepalived/*.conf'",
            "Reads all of them, and reports it.",
            "Name one file, and include the others from it.",
        ),
        Code::UnreliableInclude => (
            "an include behind a condition or with a parameter in it",
            "keepalived looks for includes before it looks at conditions and parameters.",
            "@main include main.conf",
            "Opens it twice or not at all.",
            "Put the include on a line of its own, without parameters.",
        ),
        Code::NotReplaced => (
            "a parameter that is text, because of what follows it",
            "Without braces a name must end in a blank, `,`, `)` or the end of the line.",
            "connect_ip 10.0.0.$N.1",
            "Leaves it as it is.",
            "Write `${N}`",
        ),
        Code::UnknownScriptUser => (
            "`script_user` is nobody, though no script needs it",
            "The first script without a `user` of its own will have nobody to run as.",
            "global_defs {\n    script_user nobody-here\n}",
            "Reports it, and drops the scripts that need it.",
            "Create the user, or correct the name.",
        ),
        Code::NoScriptSecurity => (
            "scripts without `enable_script_security`",
            "A script that others may change is then run all the same, perhaps with the rights of root.",
            "virtual_server 10.0.0.1 80 {\n    quorum_down /usr/local/bin/page-somebody",
            "Calls it a security violation in its test, and runs the scripts.",
            "Write `enable_script_security` into `global_defs`",
        ),
        Code::NoScheduler => (
            "no `lvs_sched`",
            "A virtual server without a scheduler gets `wlc`.",
            "virtual_server 10.0.0.1 80 {\n    protocol TCP",
            "Reports it (a test ends with 5) and takes wlc.",
            "Add `lvs_sched wlc`, which means the same.",
        ),
        Code::NoMethod => (
            "no `lvs_method`",
            "Neither the real server nor its virtual server says how packets reach it.",
            "virtual_server 10.0.0.1 80 {\n    lvs_sched rr",
            "Reports it and takes NAT.",
            "Add `lvs_method NAT`, which means the same.",
        ),
        Code::NoProtocol => (
            "no `protocol`",
            "A virtual server with an address needs a protocol.",
            "virtual_server 10.0.0.1 80 {\n    lvs_sched rr",
            "Reports it and takes UDP, also where every check is TCP.",
            "Add `protocol TCP`, or `protocol UDP` if that is meant.",
        ),
        Code::QuorumTooLarge => (
            "a quorum beyond the sum of all weights",
            "All real servers together weigh less than `quorum`.",
            "quorum 5      (two real servers of weight 1)",
            "Reports it and reduces the quorum to the sum.",
            "Lower the quorum, or raise the weights.",
        ),
        Code::HysteresisTooLarge => (
            "a hysteresis not below the quorum",
            "With it the quorum could never be lost.",
            "quorum 2\n    hysteresis 2",
            "Reports it and reduces the hysteresis to the quorum less 1.",
            "Lower the hysteresis.",
        ),
        Code::DuplicateRealServer => (
            "the same real server twice in one virtual server",
            "Address and port are the same, so IPVS sees one destination.",
            "real_server 10.0.0.2 80 { ... }\n    real_server 10.0.0.2 80 { ... }",
            "Reports it and removes the later one with its checkers.",
            "Remove one, or correct its address.",
        ),
        Code::NoRealServer => (
            "a virtual server without a real server",
            "There is nothing to forward to.",
            "virtual_server 10.0.0.1 80 {\n}",
            "Reports it and ignores the virtual server.",
            "Add real servers, or remove the block.",
        ),
        Code::IgnoredWords => (
            "words behind the ones a keyword wants",
            "They have no effect, although they look as if they had.",
            "lb_algo rr lb_kind NAT",
            "Says nothing and ignores them.",
            "Put the second keyword on a line of its own.",
        ),
        Code::AddressCut => (
            "an address with `/` or `-` behind it",
            "Only the part before counts.",
            "virtual_server 10.0.0.1/24 80 {",
            "Says nothing and cuts it off.",
            "Write the address alone; use a virtual_server_group for several.",
        ),
        Code::NoEffect => (
            "a keyword that has no effect as it stands",
            "It needs another keyword, another type of checker, or an earlier line.",
            "bind_port 1024      (without bindto)",
            "Ignores it, mostly without a word.",
            "Add what it needs, or remove it.",
        ),
        Code::EscapedComment => (
            "a backslash does not protect a comment character",
            "keepalived removes the backslash, copies the line for its checker process, and there the character begins a comment.",
            "virtualhost a\\#b",
            "Drops the rest of the line without a word.",
            "Put the word in double quotes.",
        ),
        Code::PortNotTranslated => (
            "a port that cannot be reached without NAT",
            "Direct routing and tunnels leave the port of a packet as it is.",
            "lvs_method DR\n    real_server 10.0.0.2 8080 { ... }      (virtual server on 80)",
            "Takes the port of the virtual server.",
            "Use the same port, or NAT. To check another port write `connect_port`.",
        ),
        Code::NotPersistent => (
            "a virtual server without a port is always persistent",
            "IPVS wants persistence where all ports belong to one service.",
            "virtual_server 10.0.0.1 {",
            "Sets `persistence_timeout 360`.",
            "Add that line, or a port.",
        ),
        Code::OddGroup => (
            "a group with nothing in it, or defined twice",
            "The name of a group stands for the lines of one block.",
            "virtual_server_group web {\n}",
            "Removes an empty group.",
            "Remove one of the blocks.",
        ),
        Code::TooManyDecimals => (
            "more decimals than a time has",
            "Times are kept in microseconds: six decimals.",
            "delay_loop 0.1234567",
            "Reports it and rounds.",
            "Write six decimals.",
        ),
        Code::MeansUnset => (
            "a value that keepalived takes for `not set`",
            "4294.967295 s is the greatest number it can keep, and stands for no value.",
            "connect_timeout 4294.967295",
            "Says nothing and uses the inherited value.",
            "Choose another value.",
        ),
        Code::UnknownScheduler => (
            "a scheduler that keepalived does not document",
            "It is handed to the kernel, which may have a module of that name.",
            "lvs_sched wlcc",
            "Hands it on.",
            "Check the spelling.",
        ),
        Code::NothingToProbe => (
            "no checker in the whole configuration",
            "Nothing would ever be found to be down.",
            "virtual_server 10.0.0.1 80 {\n    real_server 10.0.0.2 80 { }",
            "Says nothing.",
            "Add checkers.",
        ),
        Code::ScriptNotFound => (
            "a script or its interpreter is not there",
            "Looked for on this machine, with the rights of its user.",
            "misc_path /usr/local/bin/chekc",
            "Drops the checker and only logs it: its server is then never found to be down.",
            "Install the script, or correct its path.",
        ),
        Code::ScriptNotExecutable => (
            "a script that its user may not execute",
            "The mode of the file, or of a directory on the way to it, forbids it.",
            "misc_path /root/check.sh",
            "Drops the checker and only logs it.",
            "chmod as the message says.",
        ),
        Code::ScriptInsecure => (
            "a script with root's rights that others may change",
            "Whoever may write the file, or a directory on the way to it, becomes root at the next check.",
            "misc_path /tmp/check.sh      (script_user root)",
            "With enable_script_security drops the checker; without it runs the script.",
            "chown and chmod as the message says, or run it as another user.",
        ),
        Code::ScriptAsRoot => (
            "a script runs as root without `enable_script_security`",
            "Then nobody looks whether others may change it.",
            "global_defs {\n    script_user root",
            "Reports a security violation: a test ends with 6.",
            "Add `enable_script_security` to `global_defs`.",
        ),
        Code::ScriptPath => (
            "a script without its full path",
            "It is looked for in PATH, which depends on who starts the program.",
            "misc_path check.sh",
            "Warns and looks in PATH.",
            "Write the full path.",
        ),
        Code::OddGranularity => (
            "a mask that is another one than it looks like",
            "For IPv4 the value is a mask with dots. A number without, or with fewer dots, is the number of an address: 24 is 0.0.0.24.",
            "persistence_granularity 24",
            "Takes that mask and says nothing.",
            "Write the mask with four numbers, like 255.255.255.0 for a prefix of 24.",
        ),
        Code::SorryInhibit => (
            "a sorry server that is a real server, inhibited as only one of them",
            "One server of IPVS cannot both stay with weight 0 and be taken away. What the real server says counts.",
            "sorry_server 10.0.0.2 80\n    sorry_server_inhibit\n    real_server 10.0.0.2 80 { ... }",
            "Reports it, and does the same.",
            "Give both `inhibit_on_failure` and `sorry_server_inhibit`, or neither.",
        ),
        Code::VerifiedAddress => (
            "`tls_verify` without `tls_name`",
            "The certificate is then verified for the address that is contacted, and hardly any certificate carries one.",
            "TLS_CHECK {\n    tls_verify",
            "Does not know TLS_CHECK.",
            "Add `tls_name` with a name that the certificate is for.",
        ),
        Code::SameDestination => (
            "two real servers that are one destination",
            "Without a port a real server has that of the service, and without NAT every one has: IPVS has one \
             destination for both, and the checkers of the two contradict each other.",
            "virtual_server 10.0.0.1 80 {\n    real_server 10.0.0.2 { ... }\n    real_server 10.0.0.2 80 { ... }",
            "Takes both: it compares ports as they are written.",
            "Remove one of them, with `connect_port` in a second checker of the other if two ports are to be checked.",
        ),
        Code::WeightsWrap => (
            "weights that add up to more than 32 bits hold",
            "keepalived adds weights up in 32 bits, so that its sum begins again at 0 and the quorum is compared \
             with too little. Here the sum is what it is.",
            "weight 2147483647      (three real servers)",
            "Reduces the quorum to the sum that is left, and reports that.",
            "Use smaller weights: only their ratio counts.",
        ),
        Code::NoChecker => (
            "a real server that nothing checks",
            "It counts as alive for ever: it gets its share of the traffic also when it is dead.",
            "real_server 10.0.0.2 80 {\n    weight 1\n}",
            "Says nothing; `alpha` has no effect on it.",
            "Add a checker, or weight 0 if it is there for something else.",
        ),
        Code::TimeoutNotBelowInterval => (
            "an attempt may last as long as the interval between probes",
            "A server that does not answer is then probed at half the rate and less that `delay_loop` promises, and found to be down that much later.",
            "delay_loop 2\n    connect_timeout 5",
            "Says nothing: the interval runs from the end of a probe.",
            "Lower connect_timeout (5 s where none is written) or misc_timeout, or raise delay_loop.",
        ),
        Code::QuorumUnreachable => (
            "a quorum that is never reached",
            "To gain the quorum the weights of the living servers must add up to `quorum` plus `hysteresis`, and all of them together do not.",
            "quorum 4\n    hysteresis 3      (weights add up to 4)",
            "Says nothing: the quorum counts as lost for ever, and the sorry server serves.",
            "Lower the hysteresis or the quorum, or raise the weights.",
        ),
        Code::DuplicateChecker => (
            "the same checker twice on one real server",
            "Both contact the same target and ask for the same. It doubles the probes and finds nothing more.",
            "TCP_CHECK { }\n        TCP_CHECK { }",
            "Runs both.",
            "Remove one, or let it check something else.",
        ),
        Code::DuplicateVirtualServer => (
            "two virtual servers for one service",
            "IPVS knows one service for each protocol, address and port, and for each mark, so both blocks work on the same one. A group brings in the services of all its members.",
            "virtual_server 10.0.0.1 80 { ... }\nvirtual_server 10.0.0.1 80 { ... }",
            "Says nothing: the second one changes what the first one set up.",
            "Put all real servers into one block, and let groups have no member that another virtual server serves.",
        ),
        Code::RootZone => (
            "a DNS_CHECK asks for the root zone by default",
            "Neither `name` nor `type` is written, so the SOA record of `.` is asked for. A resolver knows it; an authoritative server answers REFUSED, and is taken for dead.",
            "DNS_CHECK {\n}",
            "Asks for the root as well.",
            "Add `name` with a zone that the server has; where the root is meant, `name .`",
        ),
        Code::OtherAddress => (
            "a checker contacts another address than its server's",
            "What it finds is about that other address.",
            "real_server 10.0.0.2 80 {\n    TCP_CHECK { connect_ip 10.0.0.9 }",
            "Says nothing.",
            "Remove `connect_ip` if it was copied from another server.",
        ),
        Code::ForeignValue => (
            "a bad value of a keyword that no checker goes by",
            "Probes are the same with it and without it, so they are not held back; VRRP, mail or whatever it is for gets another value than meant.",
            "global_defs {\n    vrrp_garp_interval soon\n}",
            "Reports it, and takes its default.",
            "Correct the value.",
        ),
        Code::ScriptDropped => (
            "a script or FIFO that keepalived drops",
            "It has no command, or nobody to run it as, or is a FIFO that nobody can own: what it should do is not done.",
            "virtual_server 10.0.0.1 80 {\n    quorum_down /usr/local/bin/page nobody-here",
            "Does without it, and mostly says nothing.",
            "Create the user, or correct the line.",
        ),
        Code::TrackValue => (
            "a value for a track file that no weight can be",
            "Values are weighed between -254 and 254.",
            "track_file load {\n    file /run/load\n    init_file 300\n}",
            "Reports it, and takes the value.",
            "Write a value between -254 and 254.",
        ),
        Code::DefinitionEnded => (
            "a definition of several lines that a blank line ends",
            "A line with nothing in it but blanks or a comment has no backslash at its end, so nothing of the definition follows it. Later versions of keepalived pass over such a line and go on with the next.",
            "$SERVER= \\\n    weight 1 \\\n\n    inhibit_on_failure",
            "2.2 ends the definition there; later versions go on.",
            "Remove the line, or end it in a backslash.",
        ),
        Code::ByteOrderMark => (
            "a byte order mark at the start of a file",
            "Some editors write the three bytes EF BB BF in front of UTF-8. They mean nothing.",
            "\u{feff}virtual_server 10.0.0.1 80 {",
            "Takes the mark for a part of the first word, so that the first line is lost, and with it its block.",
            "Save the file without the mark.",
        ),
        Code::LastByteFf => (
            "bytes that end in FF",
            "The bytes are read as they are meant.",
            "payload 01 02 ff",
            "Takes a last byte of FF for a mistake: the payload stays the default one, the pattern is none.",
            "Choose another last byte.",
        ),
        Code::SecondWord => (
            "a word behind the name of a group",
            "A `virtual_server_group` has a name and then its `{`. With another word nobody can say which one is the name.",
            "virtual_server_group web servers {\n    10.0.0.1 80",
            "Ends at once, as if there were no name.",
            "Remove the further word, or join the two by a character that is no blank.",
        ),
        Code::NameCut => (
            "a name that is cut off",
            "The kernel keeps 15 bytes of the name of a process.",
            "global_defs {\n    checker_process_name keepalived_checks\n}",
            "Reports it and uses the first 15 bytes.",
            "Shorten the name.",
        ),
        Code::ShellWord => (
            "a value that a shell looks at",
            "keepalived puts the folder into a command line and gives that to a shell, as root, whenever it reads the configuration, even to test it. Blanks, quotes, `$` and `;` mean there what they mean to a shell.",
            "global_defs {\n    config_save_dir \"/var/lib/$(hostname)\"\n}",
            "Runs it, with -t as well.",
            "Use letters, digits and `/._-+=:,@%` only.",
        ),
        Code::NoMailAddress => (
            "`notification_email` without an address",
            "No mail is sent to anybody.",
            "global_defs {\n    notification_email {\n    }\n}",
            "Warns.",
            "Write an address a line, or remove the block.",
        ),
        Code::ShortAddress => (
            "a number that is taken for an address",
            "The C library takes a number, or numbers with fewer than three points, for an address of IPv4.",
            "global_defs {\n    smtp_server 25\n}",
            "Sends mail to 0.0.0.25.",
            "Write the address in full, or the name of the host.",
        ),
        Code::NotProbed => (
            "a checker or block that is recognised but not probed",
            "The message says how many there are.",
            "vrrp_instance web { ... }",
            "Acts on it.",
            "Nothing: what is not probed is counted and never silently dropped.",
        ),
        Code::OtherPort => (
            "a checker contacts another port than its server's",
            "The service behind the port of the real server may be dead while this one answers.",
            "real_server 10.0.0.2 80 {\n    TCP_CHECK { connect_port 8080 }",
            "Says nothing.",
            "Nothing, if that port stands for the service; else remove `connect_port`.",
        ),
        Code::LaterKeyword => (
            "a keyword of a later keepalived",
            "The newest source of keepalived knows it, version 2.2 as Debian has it does not. Here a keyword of a checker does what it does there.",
            "SSL_GET {\n    sni_name www.example.com",
            "2.2 calls it an unknown keyword: a test ends with 5.",
            "Nothing, unless a keepalived of that version reads the same file.",
        ),
        Code::OwnExtension => (
            "something that no keepalived knows",
            "A checker or a value of this program alone.",
            "DNS_CHECK {\n    type SRV",
            "Calls it unknown: a test ends with 5.",
            "Nothing, unless keepalived reads the same file.",
        ),
        Code::SilencePasses => (
            "a UDP_CHECK that silence passes",
            "Without `require_reply` only an ICMP error fails, and a host that is gone sends none.",
            "UDP_CHECK {\n}",
            "Waits for connect_timeout and takes silence for success.",
            "Add `require_reply`, with a `payload` that the server answers.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_and_its_first_line_names_it() {
        for code in Code::ALL {
            let explanation = code.explanation();
            let text = explanation.to_string();
            let first = text.lines().next().unwrap_or_default();
            assert!(first.starts_with(&format!("{} (", code.as_str())), "{first}");
            assert!((5..=10).contains(&text.lines().count()), "{text}");
            for sentence in [explanation.meaning, explanation.keepalived, explanation.remedy] {
                assert!(sentence.ends_with(['.', '`']), "{}: {sentence}", code.as_str());
            }
            assert!(!explanation.title.ends_with('.'), "{first}");
            assert_eq!(Code::named(&code.as_str().to_lowercase()), Some(*code));
        }
    }
}
