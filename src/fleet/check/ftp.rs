//! `FTP_CHECK`, which keepalived does not have: an FTP server's greeting, perhaps a login.

use crate::conf::blocks::BlockKind;
use crate::conf::{Code, Diagnostic, Directive};
use crate::fleet::checker::Common;
use crate::fleet::effective::{FtpCheck, Setting};
use crate::fleet::lower::Lowering;
use crate::fleet::real_server::Server;

impl Lowering<'_> {
    /// Takes the block of an FTP_CHECK.
    pub(in crate::fleet) fn ftp_check(
        &mut self,
        directive: Directive<'_>,
        common: &mut Common,
        _server: &Server,
    ) -> Option<FtpCheck> {
        self.check_header(directive);
        self.unknown_there(Code::OwnExtension, "FTP_CHECK".to_owned(), directive.keyword());
        let mut check = FtpCheck { user: Setting::default(), password: Setting::default() };
        let mut has_user = false;
        for child in directive.children() {
            common.is_doubtful |= child.is_doubtful();
            if self.value(child, BlockKind::FtpCheck) {
                continue;
            }
            match self.reader.bytes(child.keyword()) {
                b"ftp_user" => {
                    has_user = true;
                    self.text(child, "the name of a user", &mut check.user);
                }
                b"ftp_password" => self.text(child, "a password", &mut check.password),
                _ => self.common_option(child, common),
            }
        }
        if let (Some(span), false, false) =
            (check.password.origin.span(), has_user, common.is_doubtful)
        {
            self.reader.report(
                Diagnostic::new(Code::MissingKeyword, "`ftp_password` without `ftp_user`")
                    .at(span, "nobody to log in")
                    .help("`ftp_user anonymous` logs in without an account"),
            );
        }
        Some(check)
    }
}

#[cfg(test)]
mod tests {
    use crate::fleet::check::tests::read;
    use crate::fleet::effective::Check;

    #[test]
    fn user_and_password_are_optional_together() {
        let read = read("FTP_CHECK {\n ftp_user anonymous\n ftp_password \"a b\"\n retry 0\n }");
        let Some(Check::Ftp(check)) = read.check else { panic!("{:?}", read.codes) };
        assert_eq!(check.user.value.as_deref(), Some("anonymous"));
        assert_eq!(check.password.value.as_deref(), Some("a b"));
    }
}
