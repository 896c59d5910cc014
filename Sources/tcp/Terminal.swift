internal import Glibc
internal import TCPTrace

/// Standard output and standard error, and what is known of them.
enum Terminal {
    /// Whether standard output is a terminal.
    static var isOutput: Bool { isatty(STDOUT_FILENO) == 1 }
    /// Whether standard error is one.
    static var isError: Bool { isatty(STDERR_FILENO) == 1 }

    /// Whether to colour standard output: only on a terminal that can, and not if NO_COLOR is set (no-color.org).
    static var usesColor: Bool {
        guard isOutput, environment("NO_COLOR")?.isEmpty ?? true else { return false }
        return environment("TERM") != "dumb"
    }

    /// Columns to draw in: the terminal's, at least 72 and at most 110; 80 when there is none.
    static var width: Int {
        var columns = environment("COLUMNS").flatMap { Int($0) } ?? 0
        var size = winsize()
        if columns <= 0, ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 { columns = Int(size.ws_col) }
        return columns <= 0 ? 80 : min(max(columns, 72), 110)
    }

    /// The language that the environment asks for (POSIX: LC_ALL before LC_MESSAGES before LANG).
    static var language: Language {
        for name in ["LC_ALL", "LC_MESSAGES", "LANG"] {
            if let value = environment(name), !value.isEmpty { return Language(locale: value) }
        }
        return .english
    }

    static func environment(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        return String(cString: value)
    }

    /// Writes lines to standard output.
    static func say(_ lines: [String]) {
        write(STDOUT_FILENO, lines.map { $0 + "\n" }.joined())
    }

    /// Writes a sentence to standard error.
    static func complain(_ sentence: String) {
        write(STDERR_FILENO, "Error: \(sentence)\n")
    }

    /// Shows how far long work has come, on one line that is written over; nothing unless standard error is a terminal.
    static func progress(_ text: String, isLast: Bool = false) {
        guard isError else { return }
        write(STDERR_FILENO, "\r\u{1B}[K" + (isLast ? "" : text))
    }

    static func write(_ descriptor: CInt, _ text: String) {
        var text = text
        text.withUTF8 { buffer in
            var offset = 0
            while offset < buffer.count {
                let count = Glibc.write(descriptor, buffer.baseAddress! + offset, buffer.count - offset)
                if count > 0 {
                    offset += count
                } else if errno != EINTR {
                    // The reader has gone: there is nobody to tell.
                    Glibc.exit(1)
                }
            }
        }
    }

    static func exit(_ code: Int32) -> Never { Glibc.exit(code) }
}

/// Lines that are written when enough have come together.
struct LineBuffer {
    private var text = ""

    mutating func add(_ line: String) {
        text += line
        text += "\n"
        if text.utf8.count > 1 << 16 { flush() }
    }

    mutating func flush() {
        Terminal.write(1, text)
        text = ""
    }
}
