import Foundation
import Testing

/// The `tcp` command as it was built beside these tests.
struct Command {
    var status: Int32
    var output: String
    var errors: String

    var lines: [String] { output.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init) }

    /// The lines as JSON objects; a line that is none fails the test.
    func objects() throws -> [[String: Any]] {
        try lines.map { try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any], "\($0)") }
    }

    private static var binary: URL {
        get throws {
            // Test bundle and command lie in one folder.
            let executable = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
            var folder = URL(filePath: executable).deletingLastPathComponent()
            for argument in CommandLine.arguments where argument.hasSuffix(".xctest") {
                folder = URL(filePath: argument).deletingLastPathComponent()
            }
            let command = folder.appending(path: "tcp")
            try #require(FileManager.default.isExecutableFile(atPath: command.path), "build the product 'tcp' first")
            return command
        }
    }

    /// Runs the command to its end.
    static func run(_ arguments: String..., environment: [String: String] = [:]) throws -> Command {
        try run(arguments, environment: environment)
    }

    /// Runs the command to its end.
    static func run(_ arguments: [String], environment: [String: String] = [:]) throws -> Command {
        let process = Process()
        process.executableURL = try binary
        process.arguments = arguments
        var variables = ["PATH": "/usr/bin:/bin", "LANG": "C"]
        if let path = ProcessInfo.processInfo.environment["LD_LIBRARY_PATH"] { variables["LD_LIBRARY_PATH"] = path }
        process.environment = variables.merging(environment) { $1 }
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = FileHandle.nullDevice
        try process.run()
        // What is written to standard error is short enough to wait in its pipe.
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let complaint = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Command(
            status: process.terminationStatus, output: String(decoding: text, as: UTF8.self),
            errors: String(decoding: complaint, as: UTF8.self))
    }
}
