import ArgumentParser

/// The root of the command line.
@main
struct TCPCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tcp", abstract: "A TCP/IP stack in pure Swift.", subcommands: [Serve.self, Connect.self])
}
