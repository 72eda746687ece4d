curl -H "Content-Type: application/json" -XPOST xxxxx/v1/chat/completions -d '{
  "api_secret_key":"xxxxxxxx",
  "messages": [
    {"role":"user","content":"请介绍一下你自己"}
  ]
}'  | iconv -f utf-8 -t utf-8
