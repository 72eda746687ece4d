//! What the actions of the audit log are called.

/// An action in English and Chinese; `None` for one that has no words here, which is shown as it is kept.
pub(super) fn words(action: &str) -> Option<(&'static str, &'static str)> {
    Some(match action {
        "channel.add" => ("Added a channel", "添加渠道"),
        "channel.disable" => ("Disabled a channel", "停用渠道"),
        "channel.enable" => ("Enabled a channel", "启用渠道"),
        "channel.test" => ("Tested a channel", "测试渠道"),
        "code.redeem" => ("Redeemed a code", "使用兑换码"),
        "codes.create" => ("Made redeem codes", "生成兑换码"),
        "codes.revoke" => ("Revoked redeem codes", "作废兑换码"),
        "key.issue" => ("Issued a key", "签发密钥"),
        "key.revoke" => ("Revoked a key", "吊销密钥"),
        "key.rotate" => ("Rotated a key", "轮换密钥"),
        "price.set" => ("Set a price", "设置价格"),
        "secret.rotate" => ("Rotated the sealing secret", "轮换加密密钥"),
        "staff.accept" => ("Accepted an invitation", "接受邀请"),
        "staff.disable" => ("Disabled an account", "停用账号"),
        "staff.invite" => ("Invited a person", "邀请人员"),
        "staff.language" => ("Changed the language", "更改语言"),
        "staff.password" => ("Changed the password", "更改密码"),
        "staff.role" => ("Changed a role", "更改角色"),
        "staff.sign_in" => ("Signed in", "登录"),
        "staff.sign_out" => ("Signed out", "退出登录"),
        "staff.theme" => ("Changed the colours", "更改颜色"),
        "staff.totp_off" => ("Turned codes off", "关闭验证码"),
        "staff.totp_on" => ("Turned codes on", "开启验证码"),
        "tenant.create" => ("Made a tenant", "新建客户"),
        "tenant.note" => ("Wrote a note", "添加备注"),
        "tenant.resume" => ("Resumed a tenant", "恢复客户"),
        "tenant.suspend" => ("Suspended a tenant", "暂停客户"),
        "top_up.book" => ("Booked a top-up", "充值入账"),
        "top_up.reverse" => ("Took a top-up back", "冲正充值"),
        "user.block" => ("Blocked an end user", "封禁终端用户"),
        "user.unblock" => ("Unblocked an end user", "解封终端用户"),
        _ => return None,
    })
}
