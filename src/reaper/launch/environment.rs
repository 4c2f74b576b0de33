//! The environment of a script: nothing is inherited that is not named here.
//!
//! ```text
//! PATH                     /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
//! HOME USER LOGNAME        of the user it runs as
//! SHELL                    /bin/sh
//! LANG LC_ALL TZ           as the engine has them, where it has them
//! RINGPROBE_VIRTUAL_SERVER RINGPROBE_REAL_SERVER   what the check is about
//! RINGPROBE_SCRIPT         TOKEN.RUN: the mark by which every process of the script is found again
//! ```

use crate::fleet::ScriptUser;
/// Where programs without a `/` are looked up, by us and by scripts.
pub use crate::fleet::script::SCRIPT_PATH as PATH;
use crate::reaper::supervise::RunId;

/// Name of the variable that marks every process of a script.
pub const MARK: &str = "RINGPROBE_SCRIPT";

/// Variables of the engine that scripts get too.
const PASSED_ON: [&str; 3] = ["LANG", "LC_ALL", "TZ"];

/// Names and values.
pub type Environment = Vec<(Vec<u8>, Vec<u8>)>;

/// What one run of a script is about.
#[derive(Copy, Clone, Debug)]
pub struct About<'a> {
    /// Whom it runs as.
    pub user: &'a ScriptUser,
    /// The virtual server, as reports write it; `None` where there is none.
    pub virtual_server: Option<&'a str>,
    /// The real server, as reports write it.
    pub real_server: Option<&'a str>,
    /// Of this engine, and of no other that runs or ran.
    pub token: &'a str,
    /// Of this run.
    pub run: RunId,
}

/// The environment of one run. `engine` looks variables of the engine up. `extra` comes last and
/// replaces what has the same name, but not the mark: without it nothing would be found again.
pub fn environment(
    about: &About<'_>,
    engine: impl Fn(&str) -> Option<Vec<u8>>,
    extra: &[(Vec<u8>, Vec<u8>)],
) -> Environment {
    let mut all: Environment = Vec::with_capacity(11 + extra.len());
    let mut put = |name: &[u8], value: &[u8]| match all.iter_mut().find(|(is, _)| is == name) {
        Some((_, old)) => *old = value.to_vec(),
        None => all.push((name.to_vec(), value.to_vec())),
    };
    let user = about.user;
    put(b"PATH", PATH.as_bytes());
    put(b"HOME", &user.home);
    put(b"USER", user.name.as_bytes());
    put(b"LOGNAME", user.name.as_bytes());
    put(b"SHELL", b"/bin/sh");
    for name in PASSED_ON {
        if let Some(value) = engine(name) {
            put(name.as_bytes(), &value);
        }
    }
    for (name, value) in [
        ("RINGPROBE_VIRTUAL_SERVER", about.virtual_server),
        ("RINGPROBE_REAL_SERVER", about.real_server),
    ] {
        if let Some(value) = value {
            put(name.as_bytes(), value.as_bytes());
        }
    }
    for (name, value) in extra {
        put(name, value);
    }
    put(MARK.as_bytes(), mark(about.token, about.run).as_bytes());
    all
}

/// Value of the variable [`MARK`].
pub fn mark(token: &str, run: RunId) -> String {
    format!("{token}.{}", run.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(all: &Environment) -> Vec<String> {
        all.iter()
            .map(|(name, value)| [&name[..], b"=", &value[..]].concat())
            .map(|line| String::from_utf8(line).expect("UTF-8"))
            .collect()
    }

    fn user() -> ScriptUser {
        ScriptUser {
            name: "checker".into(),
            home: (*b"/var/lib/checker").into(),
            uid: 900,
            gid: 900,
            groups: Box::new([]),
        }
    }

    #[test]
    fn it_is_what_the_documentation_says() {
        let user = user();
        let about = About {
            user: &user,
            virtual_server: Some("192.0.2.1:80"),
            real_server: Some("[2001:db8::1]:80"),
            token: "00c0ffee",
            run: RunId(17),
        };
        let engine = |name: &str| (name != "LC_ALL").then(|| format!("<{name}>").into_bytes());
        assert_eq!(
            lines(&environment(&about, engine, &[])),
            [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME=/var/lib/checker",
                "USER=checker",
                "LOGNAME=checker",
                "SHELL=/bin/sh",
                "LANG=<LANG>",
                "TZ=<TZ>",
                "RINGPROBE_VIRTUAL_SERVER=192.0.2.1:80",
                "RINGPROBE_REAL_SERVER=[2001:db8::1]:80",
                "RINGPROBE_SCRIPT=00c0ffee.17",
            ]
        );
    }

    #[test]
    fn extra_variables_replace_all_but_the_mark() {
        let user = user();
        let about = About {
            user: &user,
            virtual_server: None,
            real_server: None,
            token: "t",
            run: RunId(u64::MAX),
        };
        let pair = |name: &str, value: &str| (name.into(), value.into());
        let extra = [pair("SITE", "b"), pair("PATH", "/opt"), pair(MARK, "stolen")];
        assert_eq!(
            lines(&environment(&about, |_| None, &extra)),
            [
                "PATH=/opt",
                "HOME=/var/lib/checker",
                "USER=checker",
                "LOGNAME=checker",
                "SHELL=/bin/sh",
                "SITE=b",
                "RINGPROBE_SCRIPT=t.18446744073709551615",
            ]
        );
    }
}
