import CLinux
import Glibc
import Synchronization
import TCPRuntime

/// A network namespace that lives as long as this object.
final class Namespace: Sendable {
    /// Its name in `ip netns`.
    let name: String
    /// What a thread enters it by.
    let file: CInt

    /// Makes one named after this process and `suffix`, its loopback up.
    init(_ suffix: String) throws {
        name = "swift-tcp-bench-\(getpid())-\(suffix)"
        try shell("ip", "netns", "add", name)
        file = open("/run/netns/\(name)", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            _ = try? shell("ip", "netns", "del", name)
            throw BenchmarkFailure("cannot open /run/netns/\(name)")
        }
        try shell("ip", "-n", name, "link", "set", "lo", "up")
    }

    deinit {
        close(file)
        _ = try? shell("ip", "netns", "del", name)
    }

    /// Sets kernel parameters, each as `name=value`. Those that this kernel has not are left.
    func set(_ parameters: String...) throws {
        for parameter in parameters { try shell("ip", "netns", "exec", name, "sysctl", "-eqw", parameter) }
    }
}

/// Two network namespaces with a veth between them, for the kernel to talk to itself and, in the first, to us.
final class KernelPlace {
    static let leftVeth = "10.78.0.1"
    static let rightVeth = "10.78.0.2"

    private let spaces: [Namespace]
    var left: String { spaces[0].name }
    var right: String { spaces[1].name }
    var leftFile: CInt { spaces[0].file }
    var rightFile: CInt { spaces[1].file }

    init() throws {
        spaces = [try Namespace("l"), try Namespace("r")]
        try shell("ip", "link", "add", "veth0", "netns", left, "type", "veth", "peer", "name", "veth0", "netns", right)
        for (space, address) in [(left, KernelPlace.leftVeth), (right, KernelPlace.rightVeth)] {
            try shell("ip", "-n", space, "addr", "add", "\(address)/24", "dev", "veth0")
            try shell("ip", "-n", space, "link", "set", "veth0", "up")
        }
    }
}

/// Why a benchmark could not be run.
struct BenchmarkFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// Starts a program and gives its process id.
func spawn(_ arguments: [String], silent: Bool) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    if silent { posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0) }
    var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    let search = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
    var environment: [UnsafeMutablePointer<CChar>?] = [strdup("PATH=\(search):/usr/sbin:/sbin"), nil]
    defer { for text in argv + environment { free(text) } }
    var pid: pid_t = 0
    let status = posix_spawnp(&pid, arguments[0], &actions, nil, &argv, &environment)
    guard status == 0 else {
        throw BenchmarkFailure("cannot start \(arguments[0]): \(String(cString: strerror(status)))")
    }
    return pid
}

/// Runs a program to its good end.
@discardableResult
func shell(_ arguments: String...) throws -> Int32 {
    let pid = try spawn(arguments, silent: false)
    var status: Int32 = 0
    waitpid(pid, &status, 0)
    guard status == 0 else { throw BenchmarkFailure("\(arguments.joined(separator: " ")) failed") }
    return status
}

/// Runs `body` on a thread of its own inside a namespace.
final class NamespaceThread<Value: Sendable>: @unchecked Sendable {
    private var thread = pthread_t()
    private let namespace: CInt
    private let body: @Sendable () throws -> Value
    private var result: Result<Value, any Error>?
    private let ended = Atomic<Bool>(false)

    init(_ namespace: CInt, _ body: @escaping @Sendable () throws -> Value) throws {
        self.namespace = namespace
        self.body = body
        let status = pthread_create(
            &thread, nil,
            { box in
                Unmanaged<AnyNamespaceThread>.fromOpaque(box!).takeRetainedValue().run()
                return nil
            }, Unmanaged<AnyNamespaceThread>.passRetained(AnyNamespaceThread { self.work() }).toOpaque())
        guard status == 0 else { throw BenchmarkFailure("no thread") }
    }

    private func work() {
        defer { ended.store(true, ordering: .releasing) }
        guard linux_enter_network_namespace(namespace) == 0 else {
            result = .failure(BenchmarkFailure("cannot enter the namespace: run as root"))
            return
        }
        result = Result { try body() }
    }

    /// Whether `join` will not wait.
    var hasEnded: Bool { ended.load(ordering: .acquiring) }

    /// Whether it has ended by an error, which `join` will throw.
    var hasFailed: Bool {
        guard hasEnded, case .failure = result else { return false }
        return true
    }

    /// Waits for its end.
    func join() throws -> Value {
        pthread_join(thread, nil)
        return try result!.get()
    }
}

/// What the thread's C function is handed.
private final class AnyNamespaceThread {
    let run: () -> Void
    init(_ run: @escaping () -> Void) { self.run = run }
}
