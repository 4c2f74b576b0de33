//! The table of diagnostics: one stable code for each kind, with its severity.
//!
//! A code keeps its number for ever; a kind that goes away leaves a gap.

/// How bad it is.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// The meaning is in doubt: nothing is probed.
    Error,
    /// keepalived complains or surprises, but what it means is certain.
    Warning,
    /// Something this program does not do, or that is good to know and nobody's mistake.
    Note,
}

macro_rules! codes {
    ($($(#[$meta:meta])* $name:ident = $text:literal $severity:ident,)*) => {
        /// What kind of problem.
        #[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Code {
            $($(#[$meta])* $name,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// `E012`, `W034`, ...
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$name => $text,)*
                }
            }

            /// How bad it is.
            pub fn severity(self) -> Severity {
                match self {
                    $(Code::$name => Severity::$severity,)*
                }
            }
        }
    };
}

codes! {
    /// A line of more than 1022 bytes.
    LineTooLong = "E001" Error,
    /// A NUL byte in a line.
    NulByte = "E002" Error,
    /// A quote without its partner.
    UnterminatedQuote = "E003" Error,
    /// A block keyword without its `{`.
    MissingOpenBrace = "E004" Error,
    /// A `{` where none is expected.
    UnexpectedOpenBrace = "E005" Error,
    /// A `}` that closes nothing.
    ExtraCloseBrace = "E006" Error,
    /// A block that is never closed.
    MissingCloseBrace = "E007" Error,
    /// Blocks in blocks in blocks.
    NestedTooDeep = "E008" Error,
    /// No such keyword anywhere.
    UnknownKeyword = "E010" Error,
    /// A keyword of another block.
    MisplacedKeyword = "E011" Error,
    /// A keyword without its value.
    MissingArgument = "E012" Error,
    /// Not a decimal number.
    BadNumber = "E013" Error,
    /// A number outside its range.
    OutOfRange = "E014" Error,
    /// Not a time in seconds.
    BadTimer = "E015" Error,
    /// Not a boolean.
    BadBoolean = "E016" Error,
    /// Not a numeric address.
    BadAddress = "E017" Error,
    /// Not a port.
    BadPort = "E018" Error,
    /// A word that is none of a closed set.
    BadChoice = "E019" Error,
    /// IPv4 and IPv6 where they must agree.
    FamilyMismatch = "E020" Error,
    /// A link-local target without an interface.
    LinkLocal = "E021" Error,
    /// Nothing says which port to check.
    NoPort = "E022" Error,
    /// Not a domain name.
    BadDnsName = "E023" Error,
    /// No such DNS record type.
    UnknownDnsType = "E024" Error,
    /// Not the name of an interface.
    BadInterface = "E025" Error,
    /// A group that is defined nowhere, or has nothing in it.
    UnknownGroup = "E026" Error,
    /// A line of a group that is no address, range, network or mark.
    BadGroupMember = "E027" Error,
    /// Text that must be UTF-8 and is not.
    NotUtf8 = "E028" Error,
    /// Not a command that can be run.
    BadCommand = "E029" Error,
    /// A checker that runs a script, without one.
    NoCommand = "E030" Error,
    /// No such user or group.
    UnknownUser = "E031" Error,
    /// Nothing says whom scripts run as.
    NoScriptUser = "E032" Error,
    /// An included file that cannot be read, or is no plain file.
    IncludeUnreadable = "E033" Error,
    /// An include that finds no file and must.
    IncludeMissing = "E034" Error,
    /// A file that includes itself, or includes in includes in includes.
    IncludeCycle = "E035" Error,
    /// More files, or more alternatives of one include, than are read; or a pattern that is none.
    TooManyFiles = "E036" Error,
    /// A parameter that contains itself.
    ParameterCycle = "E037" Error,
    /// A line that is too long once its parameters are replaced.
    ExpansionTooLong = "E038" Error,
    /// A parameter of several lines that is not the last thing on its line.
    MultiLineUse = "E039" Error,
    /// `~SEQ` or `~LST` that cannot be read.
    BadRepetition = "E040" Error,
    /// More lines than a configuration may expand to.
    TooManyLines = "E041" Error,
    /// A definition that goes on where its file ends.
    OpenDefinition = "E042" Error,
    /// Bounds of a random number that are none.
    BadRandom = "E043" Error,
    /// `${NAME}` that is not defined, where its braces count as braces.
    UndefinedParameter = "E044" Error,
    /// `$NAME =`
    BadDefinition = "E045" Error,
    /// Expansions in expansions in expansions.
    ExpansionTooDeep = "E046" Error,
    /// A definition of several lines behind a condition that is not met.
    ConditionalDefinition = "E047" Error,
    /// A backslash at the end of a line, as if the next one went on with it.
    LineContinued = "E048" Error,
    /// A file of the command line that cannot be read.
    Unreadable = "E049" Error,
    /// A block without a keyword that it needs.
    MissingKeyword = "E060" Error,
    /// Not a status code of HTTP, nor a range of them.
    BadStatusCode = "E061" Error,
    /// Not an MD5 digest.
    BadDigest = "E062" Error,
    /// Not a regular expression.
    BadRegex = "E063" Error,
    /// A regular expression that must match beyond the place where it may.
    RegexOffsets = "E064" Error,
    /// Not bytes in hexadecimal digits.
    BadHex = "E065" Error,
    /// The name of a block that is not defined before it is named.
    UnknownName = "E066" Error,
    /// A `host` block of an SMTP_CHECK.
    SmtpHost = "E067" Error,
    /// A second name where one is possible, or a second checker of the same session.
    SecondName = "E068" Error,
    /// An include without the name of a file.
    IncludeNothing = "E075" Error,
    /// A `bfd_instance` that keepalived does without: no neighbor, or none that it can reach.
    BadBfdInstance = "E080" Error,

    /// A second word behind the name of a group.
    SecondWord = "E073" Error,

    /// No `lvs_sched`: wlc.
    NoScheduler = "W031" Warning,
    /// No `lvs_method`: NAT.
    NoMethod = "W032" Warning,
    /// No `protocol`: UDP.
    NoProtocol = "W033" Warning,
    /// `quorum` beyond the sum of all weights.
    QuorumTooLarge = "W034" Warning,
    /// `hysteresis` not below the quorum.
    HysteresisTooLarge = "W035" Warning,
    /// The same real server twice in one virtual server.
    DuplicateRealServer = "W036" Warning,
    /// A virtual server without a real server.
    NoRealServer = "W037" Warning,
    /// Words after the ones a keyword wants.
    IgnoredWords = "W038" Warning,
    /// What follows `/` in an address is ignored.
    AddressCut = "W039" Warning,
    /// A keyword that has no effect where or as it stands.
    NoEffect = "W040" Warning,
    /// A backslash does not keep a comment character from keepalived's checker process.
    EscapedComment = "W041" Warning,
    /// A port that forwarding without NAT cannot change.
    PortNotTranslated = "W042" Warning,
    /// A virtual server without a port is always persistent.
    NotPersistent = "W043" Warning,
    /// A group with nothing in it, or defined twice.
    OddGroup = "W044" Warning,
    /// More decimals than a time has.
    TooManyDecimals = "W045" Warning,
    /// A value that keepalived takes for "not set".
    MeansUnset = "W046" Warning,
    /// A scheduler that keepalived does not document.
    UnknownScheduler = "W047" Warning,
    /// No checker that can be probed in the whole configuration.
    NothingToProbe = "W048" Warning,
    /// A script or its interpreter is not there.
    ScriptNotFound = "W049" Warning,
    /// A script or its interpreter is there and its user may not execute it.
    ScriptNotExecutable = "W050" Warning,
    /// A script with the rights of root that others than root may change.
    ScriptInsecure = "W051" Warning,
    /// A script with the rights of root, without `enable_script_security`.
    ScriptAsRoot = "W052" Warning,
    /// A script without its full path.
    ScriptPath = "W053" Warning,
    /// An include that finds no file or cannot read it, and need not.
    IncludeSkipped = "W054" Warning,
    /// Bounds of a random number in the wrong order.
    ReversedRandom = "W055" Warning,
    /// Several files where one is usual.
    SeveralFiles = "W056" Warning,
    /// An include on a line with a condition or a parameter.
    UnreliableInclude = "W057" Warning,
    /// A parameter without braces that is text, because of what follows it.
    NotReplaced = "W058" Warning,
    /// `script_user` is nobody, though no script needs it.
    UnknownScriptUser = "W059" Warning,
    /// Scripts without `enable_script_security`.
    NoScriptSecurity = "W060" Warning,
    /// A keyword by its old name.
    Deprecated = "W065" Warning,
    /// Given twice where one counts.
    Repeated = "W066" Warning,
    /// A backslash that does not reach the regular expression.
    LostBackslash = "W067" Warning,
    /// An option of regular expressions that keepalived does not know.
    UnknownRegexOption = "W068" Warning,
    /// No reply can be as long as is asked for.
    ReplyLengths = "W069" Warning,
    /// A path that is no path of a server.
    OddPath = "W070" Warning,

    /// A `persistence_granularity` that is read as another mask than it looks like.
    OddGranularity = "W105" Warning,
    /// A sorry server that is a real server, with `inhibit_on_failure` for one of the two.
    SorryInhibit = "W106" Warning,
    /// `tls_verify` without the name that the certificate must be for.
    VerifiedAddress = "W107" Warning,
    /// Two real servers that IPVS sees as one destination, though they are written with other ports.
    SameDestination = "W110" Warning,
    /// Weights that add up to more than keepalived's sum can hold.
    WeightsWrap = "W111" Warning,

    /// A real server that nothing checks.
    NoChecker = "W075" Warning,
    /// An attempt may last as long as the interval between probes.
    TimeoutNotBelowInterval = "W076" Warning,
    /// A quorum that the real servers cannot reach all together.
    QuorumUnreachable = "W077" Warning,
    /// The same checker twice on one real server.
    DuplicateChecker = "W078" Warning,
    /// Two virtual servers for one service.
    DuplicateVirtualServer = "W079" Warning,
    /// A DNS_CHECK that asks for the root zone because nothing says what to ask.
    RootZone = "W080" Warning,
    /// A checker that contacts another address than its real server's.
    OtherAddress = "W081" Warning,
    /// A name that is cut where it gets too long.
    NameCut = "W090" Warning,
    /// A value that a shell looks at.
    ShellWord = "W091" Warning,
    /// A block of mail addresses with nothing in it.
    NoMailAddress = "W092" Warning,
    /// A number that is taken for an address.
    ShortAddress = "W093" Warning,
    /// A bad value of a keyword that no checker goes by.
    ForeignValue = "W094" Warning,
    /// A script or FIFO of keepalived's own that it drops: no command, or nobody to run it as or to own it.
    ScriptDropped = "W095" Warning,
    /// A value for a track file that no weight can be.
    TrackValue = "W096" Warning,
    /// A file that keepalived skips because it is executable.
    ExecutableFile = "W100" Warning,
    /// A definition of several lines that a blank line ends.
    DefinitionEnded = "W115" Warning,
    /// A byte order mark at the start of a file.
    ByteOrderMark = "W116" Warning,
    /// Bytes that end in FF, which keepalived takes for no bytes.
    LastByteFf = "W117" Warning,

    /// A checker or block that is recognised but not probed yet.
    NotProbed = "N061" Note,
    /// A checker that contacts another port than its real server's.
    OtherPort = "N065" Note,
    /// A UDP_CHECK that a server which is gone without a trace passes.
    SilencePasses = "N066" Note,
    /// A keyword that keepalived knows since a version after 2.2.
    LaterKeyword = "N070" Note,
    /// Something that no keepalived knows.
    OwnExtension = "N071" Note,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_spell_their_severity() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{} twice", code.as_str());
            let letter = match code.severity() {
                Severity::Error => 'E',
                Severity::Warning => 'W',
                Severity::Note => 'N',
            };
            assert!(code.as_str().starts_with(letter) && code.as_str().len() == 4);
        }
    }
}
