import CLinux
import Glibc
import Synchronization

/// A program that a test started. Ended when the test lets go of it.
final class Running: Sendable {
    let pid: pid_t
    /// Where its output goes.
    let output: String
    /// Where its complaints go.
    let errors: String
    private let status = Mutex<Int32?>(nil)

    init(pid: pid_t, output: String, errors: String) {
        self.pid = pid
        self.output = output
        self.errors = errors
    }

    deinit { end() }

    /// Sends a signal, unless it has ended.
    func signal(_ number: Int32) {
        if poll() == nil { kill(pid, number) }
    }

    /// Ends it for good.
    func end() {
        guard poll() == nil else { return }
        kill(pid, SIGKILL)
        _ = try? wait(seconds: 10)
    }

    /// The exit code, or 128 and the signal; `nil` while it runs.
    func poll() -> Int32? {
        status.withLock { status in
            if let status { return status }
            var word: Int32 = 0
            guard waitpid(pid, &word, WNOHANG) == pid else { return nil }
            status = word & 0x7F == 0 ? word >> 8 & 0xFF : 128 + (word & 0x7F)
            return status
        }
    }

    /// Waits for its end.
    func wait(seconds: Int = 120) throws -> Int32 {
        for _ in 0..<seconds * 200 {
            if let status = poll() { return status }
            usleep(5000)
        }
        throw Failure("process \(pid) did not end in \(seconds) s: \(contents(of: errors))")
    }

    /// Waits until it has complained of `text`.
    func waitFor(_ text: String, seconds: Int = 30) throws {
        for _ in 0..<seconds * 200 {
            if contents(of: errors).contains(text) { return }
            if let status = poll(), !contents(of: errors).contains(text) {
                throw Failure("ended with \(status) before '\(text)': \(contents(of: errors))")
            }
            usleep(5000)
        }
        throw Failure("'\(text)' did not come: \(contents(of: errors))")
    }

    struct Failure: Error, CustomStringConvertible {
        var description: String
        init(_ description: String) { self.description = description }
    }
}

/// A directory for one test's files, removed with it.
final class Scratch: Sendable {
    let path: String
    private let count = Atomic(0)

    init() {
        var template = Array("/tmp/swift-tcp-XXXXXX".utf8CString)
        path = String(cString: mkdtemp(&template))
    }

    deinit { _ = try? run(["rm", "-rf", path], output: "/dev/null") }

    /// The path of a file of that name.
    func file(_ name: String) -> String { "\(path)/\(name)" }

    /// A file of `count` octets that no compression or doubling hides an error in.
    @discardableResult
    func fill(_ name: String, _ count: Int) throws -> String {
        let path = file(name)
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        defer { close(file) }
        var left = count
        var block = [UInt8](repeating: 0, count: 1 << 20)
        while left > 0 {
            let size = min(left, block.count)
            guard block.withUnsafeMutableBytes({ getentropyInParts($0.baseAddress!, size) }),
                block.withUnsafeBytes({ write(file, $0.baseAddress!, size) }) == size
            else { throw Running.Failure("cannot fill \(path)") }
            left -= size
        }
        return path
    }

    /// A name that no other file has.
    func unique(_ prefix: String) -> String {
        file("\(prefix)\(count.add(1, ordering: .relaxed).newValue)")
    }

    /// Starts a program with its output in files here.
    func start(_ arguments: [String], input: String = "/dev/null", output: String? = nil) throws -> Running {
        let output = output ?? unique("out")
        let errors = unique("err")
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        // The threads of a test may block signals, which a child would inherit.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var pid: pid_t = 0
        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for argument in argv { free(argument) } }
        let search = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        var environment: [UnsafeMutablePointer<CChar>?] = [
            strdup("PATH=\(search):/usr/sbin:/sbin"), strdup("LC_ALL=C.UTF-8"), strdup("HOME=/tmp"), nil,
        ]
        defer { for entry in environment { free(entry) } }
        let status = posix_spawnp(&pid, arguments[0], &actions, &attributes, &argv, &environment)
        guard status == 0 else {
            throw Running.Failure("cannot start \(arguments[0]): \(String(cString: strerror(status)))")
        }
        return Running(pid: pid, output: output, errors: errors)
    }

    /// Runs a program to its end, which must be a good one, and gives its output.
    @discardableResult
    func run(_ arguments: [String], input: String = "/dev/null", output: String? = nil) throws -> String {
        let running = try start(arguments, input: input, output: output)
        let status = try running.wait()
        guard status == 0 else {
            throw Running.Failure(
                "\(arguments.joined(separator: " ")) ended with \(status): \(contents(of: running.errors))")
        }
        return output == nil ? contents(of: running.output) : ""
    }
}

/// Fills memory with random octets; the system gives 256 at a time.
private func getentropyInParts(_ base: UnsafeMutableRawPointer, _ count: Int) -> Bool {
    var offset = 0
    while offset < count {
        let part = min(256, count - offset)
        guard getentropy(base + offset, part) == 0 else { return false }
        offset += part
    }
    return true
}

/// A file's octets as text; empty when there is none.
func contents(of path: String) -> String {
    String(decoding: octets(of: path), as: UTF8.self)
}

/// A file's octets; empty when there is none.
func octets(of path: String) -> [UInt8] {
    let file = open(path, O_RDONLY)
    guard file >= 0 else { return [] }
    defer { close(file) }
    var all: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = block.withUnsafeMutableBytes { read(file, $0.baseAddress!, $0.count) }
        guard count > 0 else { return all }
        all += block[..<count]
    }
}
