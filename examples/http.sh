#!/bin/sh
# Has files scanned over HTTP, with nothing but curl: sh http.sh FILE...
# VFIND_URL says where (http://127.0.0.1:8082), VFIND_TOKEN who asks.
# Exit codes: 23 something was found, 2 something is not known to be clean, 0 all clean, 255 wrong usage.
url=${VFIND_URL:-http://127.0.0.1:8082}
exit=0
[ $# -gt 0 ] || { echo "usage: sh http.sh FILE..." >&2; exit 255; }
for file in "$@"; do
  # From standard input, for names with letters that mean something in an address.
  if [ -n "$VFIND_TOKEN" ]; then
    answer=$(printf 'header = "Authorization: Bearer %s"\n' "$VFIND_TOKEN" |
      curl --fail --silent --show-error --config - --upload-file "$file" "$url/v1/scan")
  else
    answer=$(curl --fail --silent --show-error --upload-file "$file" "$url/v1/scan")
  fi
  # Anything but an answer that begins with a verdict is none.
  case $? in 0) ;; *) answer= ;; esac
  case $answer in
    '{"version":1,"request":null,"verdict":"clean",'*) echo "$file: clean" ;;
    '{"version":1,"request":null,"verdict":"infected",'*) echo "$file: INFECTED"; exit=23 ;;
    *) echo "$file: NOT KNOWN TO BE CLEAN"; [ $exit = 23 ] || exit=2 ;;
  esac
done
exit $exit
