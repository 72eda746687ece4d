$arr = array();
$arr['api_secret_key'] = 'dd61320fddde6c6568be8a0b0004a53a';
$arr['user'] = '张三';
{
    $one = ["role" => 'user', "content" => "1+100="];
    $messages = array(); $messages[] = $one;
    $arr['messages'] = $messages;
}
// 调用吧
$cburl = 'http://flag.smarttrot.com/index.php/api/v1/chat/completions';
$chatgpt_back = Tool::_request('post', $cburl, $arr);
$data = json_decode($chatgpt_back, true);
