//! Whom a script runs as, and what that user may not change.

use super::*;

#[test]
#[ignore = "needs root: other users"]
fn a_script_has_the_user_group_and_groups_it_was_given() {
    let scene = Scene::new();
    let mut command =
        scene.sh("id -u; id -g; id -G; grep -E '^(Uid|Gid|Cap(Prm|Eff|Amb))' /proc/$$/status");
    command.user = ScriptUser { uid: 4242, gid: 4343, groups: [50, 40].into(), ..me() };
    let stdout = run(&command).stdout.replace('\t', " ");
    assert_eq!(
        stdout,
        "4242\n4343\n4343 40 50\nUid: 4242 4242 4242 4242\nGid: 4343 4343 4343 4343\n\
         CapPrm: 0000000000000000\nCapEff: 0000000000000000\nCapAmb: 0000000000000000\n"
    );
    command.user.groups = Box::new([]);
    assert!(run(&command).stdout.starts_with("4242\n4343\n4343\nUid"));
    assert_eq!(me().uid, 0, "this process is who it was");
    // The kernel would start it, and the shell would fail to read it.
    let path = scene.path("script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o711)).expect("chmod");
    let unreadable = refused(&command);
    assert_eq!(unreadable.fault, ScriptFault::NotExecutable(libc::EACCES));
    assert!(
        unreadable.explanation.is_some_and(|text| text.contains("script`: me may not read it"))
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
    // What that user may not look at is refused by the kernel too, in the new process.
    let checked = Checked::new(&command).expect("open to all");
    fs::set_permissions(scene.folder.path(), fs::Permissions::from_mode(0o700)).expect("chmod");
    let refused = checked.start().map(|_| ()).expect_err("closed");
    assert_eq!(refused.fault, ScriptFault::NotExecutable(libc::EACCES));
}

#[test]
fn who_may_not_change_users_runs_scripts_as_himself_and_as_nobody_else() {
    part_passes("users::other_user_part", is_root().then_some(65_534));
}

#[test]
#[ignore = "a part of another test"]
fn other_user_part() {
    if !is_part("users::other_user_part") {
        return;
    }
    let scene = Scene::new();
    assert!(!is_root());
    let mut command = scene.sh("id -u");
    assert_eq!(run(&command).stdout, format!("{}\n", me().uid));
    command.user.groups = [7].into();
    if fs::read_to_string("/proc/self/status").expect("there").contains("Groups:\t7 8") {
        assert_eq!(run(&command).stdout, format!("{}\n", me().uid));
    }
    command.user = me();
    command.user.uid += 1;
    let refused_user = refused(&command);
    assert_eq!(refused_user.fault, ScriptFault::User(libc::EPERM));
    assert!(refused_user.explanation.is_some_and(|text| text.starts_with("cannot become me (")));
    command.user = ScriptUser { groups: [12_345].into(), ..me() };
    assert_eq!(refused(&command).fault, ScriptFault::User(libc::EPERM));
    command.user = me();
    fs::set_permissions(scene.path("script"), fs::Permissions::from_mode(0o111)).expect("chmod");
    assert_eq!(refused(&command).fault, ScriptFault::NotExecutable(libc::EACCES));
    let program = scene.path("program");
    fs::copy("/bin/echo", &program).expect("copied");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o111)).expect("chmod");
    let words: [&[u8]; 2] = [program.as_os_str().as_bytes(), b"ran"];
    assert_eq!(run(&self::command(&words)).stdout, "ran\n");
    command.nofile = Some((1 << 29, 1 << 30));
    assert_eq!(refused(&command).fault, ScriptFault::Setup(SetupStep::Limits, libc::EPERM));
}

#[test]
fn what_others_may_change_does_not_run_as_root_where_security_is_asked_for() {
    let scene = Scene::new();
    let mut command = scene.sh("echo ran");
    let folder = fs::canonicalize(scene.folder.path()).expect("there");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("chmod");
    command.security = true;
    if !is_root() {
        assert_eq!(run(&command).stdout, "ran\n", "it does not run as root");
        return;
    }
    let insecure = refused(&command);
    let mode = "(owner 0:0, mode drwxrwxrwx): everybody may change it";
    assert_eq!(
        insecure,
        Refused::new(ScriptFault::Insecure, format!("`{}` {mode}", folder.display()))
    );
    command.security = false;
    let launched = launch(&command).expect("it runs");
    assert_eq!(finish(launched).stdout, "ran\n");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("chmod");
    command.security = true;
    let launched = launch(&command).expect("it runs");
    assert_eq!(finish(launched).stdout, "ran\n");
    // What interprets a script could do anything too.
    fs::copy("/bin/sh", scene.path("sh")).expect("copied");
    fs::set_permissions(scene.path("sh"), fs::Permissions::from_mode(0o777)).expect("chmod");
    let text = format!("#!{}\necho ran\n", folder.join("sh").display());
    scene.script("script", text.as_bytes());
    let insecure = refused(&command);
    assert_eq!(insecure.fault, ScriptFault::Insecure);
    assert!(
        insecure.explanation.is_some_and(|text| text.contains("/sh` (owner 0:0, mode -rwxrwxrwx)"))
    );
}
