internal import ArgumentParser

/// The command line: `tcp demo`, `tcp simulate` and what else there is.
@main
struct TCPCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tcp",
        abstract: "A complete TCP in Swift: watch it, try it, use it.",
        discussion: """
            Begin with 'tcp demo': two hosts on a simulated link connect, send data and close, and every step is \
            explained. It needs no rights and touches no network.
            """,
        version: "0.1.0",
        subcommands: [
            DemoCommand.self, SimulateCommand.self, ScriptCommand.self, ExploreCommand.self, Serve.self, Connect.self,
        ])

    /// Runs the command. A mistake is one sentence on standard error: exit code 64 for usage, 1 for the rest.
    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch {
            guard exitCode(for: error) != .success else { exit(withError: error) }
            // A command that has already said what is wrong gives a bare exit code.
            if let code = error as? ExitCode { Terminal.exit(code.rawValue) }
            var sentence = message(for: error).split(separator: "\n").joined(separator: " ")
            if sentence.last != "." { sentence += "." }
            // The parser's own words do not say what to do.
            if ["Unknown", "Unexpected", "Missing"].contains(where: sentence.hasPrefix) {
                sentence += " Try 'tcp --help'."
            }
            Terminal.complain(sentence)
            Terminal.exit(exitCode(for: error).rawValue)
        }
    }
}
