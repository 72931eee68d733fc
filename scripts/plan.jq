# The outputs of plan.sh, NAME=VALUE. What comes out can stand in a file name, a
# reference and a line of $GITHUB_OUTPUT as it is.

def die(message): "plan: error: \(message | gsub("##\\["; "# # ["))\n" | halt_error(2);
def checked(what; pattern; hint): if type == "string" and test(pattern) then . else die("\(what) \(tojson) \(hint)") end;
def setting(name; default): ($ENV[name] // "") | if . == "" then default else . end;

def version:
  if . == "" then die("there is no version: give one, or run on a git tag") else . end
  | setting("TAG_PREFIX"; "") as $prefix
  | if startswith($prefix) then .[($prefix | length):] else die("version \(tojson) does not begin with \($prefix | tojson)") end
  | if test("\\Av[0-9]") then .[1:] else . end
  | checked("version"; "\\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\\z";
      "cannot be an image tag" + (if contains("+") then "; an image's tag has no +, write - for it" else "" end));

def platforms($version):
  def list: checked("platforms"; "\\A[a-z0-9/,._-]*\\z"; "is no list such as linux/amd64,linux/arm64");
  (setting("PLATFORMS"; "") | list) as $all
  | (setting("PRERELEASE_PLATFORMS"; $all) | list)
  | if $version | contains("-") then . else $all end;

def app:
  if type == "string" then {name: .} elif type == "object" then . else die("apps: \(tojson) is neither a name nor an object") end
  | ((keys - ["name", "context", "dockerfile"]) as $others | if $others == [] then . else die("apps: \(tojson) has \($others[0] | tojson); name, context and dockerfile are known") end)
  | (.name | checked("app"; "\\A[a-z0-9]+((\\.|_{1,2}|-+)[a-z0-9]+)*(/[a-z0-9]+((\\.|_{1,2}|-+)[a-z0-9]+)*)*\\z"; "is no image name: lower-case letters, digits, and . _ - / between them")) as $name
  | {
      id: ($name | gsub("/"; "-")),
      name: $name,
      context: (.context // setting("CONTEXT"; ".") | checked("context of \($name)"; "\\A[A-Za-z0-9_./][A-Za-z0-9_./-]*\\z"; "is no plain path")),
      dockerfile: (.dockerfile // setting("DOCKERFILE"; "") | checked("dockerfile of \($name)"; "\\A([A-Za-z0-9_./][A-Za-z0-9_./-]*)?\\z"; "is no plain path"))
    };

($version | version) as $tag
| setting("APPS"; "")
| if test("\\A\\s*\\z") then [setting("APP_NAME"; ($ENV.GITHUB_REPOSITORY // "") | split("/") | last // "" | ascii_downcase)]
  else . as $text | try fromjson catch die("apps is no JSON: \($text | tojson)") end
| if type == "array" then map(app) else die("apps is no list: \(tojson)") end
| (group_by(.id) | map(select(length > 1)) | first // empty | die("apps: \(.[0].name) and \(.[1].name) cannot be told apart")), .
| "version=\($tag)", "platforms=\(platforms($tag))", "has_builds=\(length > 0)", "apps=\(tojson)", "call=\($tag)-\($hash)"
