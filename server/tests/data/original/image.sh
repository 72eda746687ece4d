curl -H "Content-Type: application/json" -XPOST xxxxx/v1/images/generations -d '{
  "api_secret_key":"xxxxxxxx",
  "prompt": "A cute baby sea otter",
}'  | iconv -f utf-8 -t utf-8
