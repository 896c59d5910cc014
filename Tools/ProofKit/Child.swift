import Glibc
import Synchronization

/// One start at a time: another child that starts meanwhile would hold the writing end of this one's pipe open.
private let starting = Mutex(())

/// A process whose output is read while it runs.
package struct Child: ~Copyable {
    private let identifier: pid_t
    /// Where its standard output and error come.
    package let output: Int32
    /// What came, its end at most.
    package private(set) var text: [UInt8] = []

    /// Starts `arguments`, found by the path; `environment` is added to ours.
    package init(_ arguments: [String], environment: [String: String] = [:]) throws(ProofError) {
        (identifier, output) = try Child.start(arguments, environment)
    }

    private static func start(
        _ arguments: [String], _ environment: [String: String]
    ) throws(ProofError) -> (pid_t, Int32) {
        try starting.withLock { _ throws(ProofError) in try spawn(arguments, environment) }
    }

    private static func spawn(
        _ arguments: [String], _ environment: [String: String]
    ) throws(ProofError) -> (pid_t, Int32) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else {
            throw ProofError("There is no pipe to be had: \(String(cString: strerror(errno)))")
        }
        _ = fcntl(ends[0], F_SETFD, FD_CLOEXEC)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
        posix_spawn_file_actions_addclose(&actions, ends[1])
        // A group of its own, so that what it starts ends with it.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        posix_spawnattr_setpgroup(&attributes, 0)
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var variables = Child.variables(adding: environment)
        defer {
            for word in words { free(word) }
            for variable in variables { free(variable) }
        }
        var identifier: pid_t = 0
        let code = posix_spawnp(&identifier, arguments[0], &actions, &attributes, &words, &variables)
        close(ends[1])
        guard code == 0 else {
            close(ends[0])
            throw ProofError("\(arguments[0]) cannot be started: \(String(cString: strerror(code)))")
        }
        return (identifier, ends[0])
    }

    private static func variables(adding more: [String: String]) -> [UnsafeMutablePointer<CChar>?] {
        var result: [UnsafeMutablePointer<CChar>?] = []
        var index = 0
        while let entry = environ[index] {
            let name = String(cString: entry).prefix { $0 != "=" }
            if more[String(name)] == nil { result.append(strdup(entry)) }
            index += 1
        }
        for (name, value) in more { result.append(strdup("\(name)=\(value)")) }
        return result + [nil]
    }

    /// Reads what has come; `false` at the end of the output.
    package mutating func read() -> Bool {
        var buffer = [UInt8](repeating: 0, count: 1 << 14)
        let count = Glibc.read(output, &buffer, buffer.count)
        guard count > 0 else { return count < 0 && errno == EINTR }
        text += buffer[..<count]
        if text.count > 1 << 20 { text.removeFirst(text.count - 1 << 19) }
        return true
    }

    /// Ends it and what it started.
    package func end() { kill(-identifier, SIGKILL) }

    /// Waits for its end: the exit code, or the signal.
    package consuming func wait() -> (code: Int32?, signal: Int32) {
        close(output)
        var status: Int32 = 0
        while waitpid(identifier, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7F
        return signal == 0 ? ((status >> 8) & 0xFF, 0) : (nil, signal)
    }
}
