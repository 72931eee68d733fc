# Reads a cask as Homebrew does on one platform, OS/ARCH, and prints what it would
# install as JSON. It knows what our cask says and stops at anything else.
require "json"

SYSTEM, MACHINE = ARGV[1].split("/")

class Cask
  attr_reader :answer

  def initialize(token)
    @answer = {"token" => token, "url" => nil, "sha256" => nil, "version" => nil, "files" => Hash.new { |h, k| h[k] = [] }}
  end

  def on_macos = (yield if SYSTEM == "darwin")
  def on_linux = (yield if SYSTEM == "linux")
  def on_intel = (yield if MACHINE == "amd64")
  def on_arm = (yield if MACHINE == "arm64")

  def version(text = nil)
    @answer["version"] = text if text
    @answer["version"]
  end

  def url(text, **) = @answer["url"] = text
  def sha256(text) = @answer["sha256"] = text

  %i[binary manpage bash_completion zsh_completion fish_completion].each do |kind|
    define_method(kind) { |path, **| @answer["files"][kind.to_s] << path }
  end

  # They change nothing of what is installed.
  %i[name desc homepage livecheck postflight].each { |word| define_method(word) { |*, **, &_| nil } }
end

def cask(token, &block)
  c = Cask.new(token)
  c.instance_eval(&block)
  puts JSON.generate(c.answer)
end

load ARGV[0]
