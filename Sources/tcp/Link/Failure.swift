import ArgumentParser
import CLinux
import Glibc
import TCPEngine
import TCPRuntime
import TCPStack

/// A failure that one sentence explains.
struct CommandFailure: Error {
    var sentence: String

    init(_ sentence: String) { self.sentence = sentence }
}

/// Writes one line to standard error.
func complain(_ line: String) {
    var bytes = Array(line.utf8)
    bytes.append(UInt8(ascii: "\n"))
    writeWhole(bytes, to: STDERR_FILENO)
}

/// Writes one line to standard output.
func output(_ line: String) {
    var bytes = Array(line.utf8)
    bytes.append(UInt8(ascii: "\n"))
    writeWhole(bytes, to: STDOUT_FILENO)
}

private func writeWhole(_ bytes: [UInt8], to file: CInt) {
    var offset = 0
    while offset < bytes.count {
        let count = bytes.withUnsafeBytes { write(file, $0.baseAddress! + offset, $0.count - offset) }
        if count > 0 { offset += count } else if count == 0 || errno != EINTR { return }
    }
}

/// The sentence that explains `error` to a person.
func explanation(of error: any Error) -> String {
    switch error {
    case let error as CommandFailure: error.sentence
    case let error as DeviceError: error.explanation
    case let error as OpenError: error.explanation
    case let error as ConnectionError: error.explanation
    case is CancellationError: "Interrupted."
    default: "\(error)"
    }
}

/// Runs `body`; what it throws becomes one sentence on standard error and exit code 1.
func reportingFailure(_ body: () throws -> Void) throws {
    do {
        try body()
    } catch let error as ExitCode {
        throw error
    } catch let error as ValidationError {
        throw error
    } catch {
        complain("tcp: \(explanation(of: error))")
        throw ExitCode(1)
    }
}

/// `text` as a JSON string, quotes included.
func json(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case _ where scalar.value < 0x20:
            let digits = String(scalar.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}
