import CLinux
import Glibc
import Synchronization
import Testing

/// What the tests against the kernel's TCP need, and what of it is missing here.
enum Kernel {
    static let tools = ["ip", "ss", "nft", "curl", "nc", "tcpdump", "python3", "sha256sum", "ping", "tracepath"]

    /// The names of what is missing.
    static let missing: [String] = {
        var missing: [String] = []
        if geteuid() != 0 { missing.append("root") }
        if access("/dev/net/tun", R_OK | W_OK) != 0 { missing.append("/dev/net/tun") }
        let search = (getenv("PATH").map { String(cString: $0) } ?? "") + ":/usr/bin:/bin:/usr/sbin:/sbin"
        for tool in tools where !search.split(separator: ":").contains(where: { access("\($0)/\(tool)", X_OK) == 0 }) {
            missing.append(tool)
        }
        if access(command, X_OK) != 0 { missing.append("the tcp command at \(command)") }
        return missing
    }()

    /// Whether missing prerequisites are failures.
    static let isRequired = getenv("TCP_REQUIRE_KERNEL_TESTS").map { String(cString: $0) } == "1"

    /// The tests are to run: all is there, or must be.
    static var isWanted: Bool { missing.isEmpty || isRequired }

    static var comment: Comment { "kernel tests are skipped for want of: \(missing.joined(separator: ", "))" }

    /// Fails where the prerequisites are required and missing.
    static func check() throws {
        guard missing.isEmpty else { throw Running.Failure("missing: \(missing.joined(separator: ", "))") }
    }

    /// The command, which is built next to the tests.
    static let command: String = {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let path = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") + "/tcp"
    }()
}

/// A network namespace of a test's own, with our command in it.
final class Namespace: Sendable {
    static let ours4 = "10.77.0.2"
    static let kernels4 = "10.77.0.3"
    static let ours6 = "fd77::2"
    static let kernels6 = "fd77::3"
    /// Our own on a TAP interface.
    static let station = "02:00:5e:10:00:01"

    let name: String
    let scratch = Scratch()

    init() throws {
        try Kernel.check()
        let number = Namespace.count.add(1, ordering: .relaxed).newValue
        name = "swift-tcp-\(getpid())-\(number)"
        try scratch.run(["ip", "netns", "add", name])
        try scratch.run(["ip", "-n", name, "link", "set", "lo", "up"])
    }

    private static let count = Atomic(0)

    deinit { _ = try? scratch.run(["ip", "netns", "del", name]) }

    /// Starts a program inside.
    func start(_ arguments: String..., input: String = "/dev/null", output: String? = nil) throws -> Running {
        try scratch.start(["ip", "netns", "exec", name] + arguments, input: input, output: output)
    }

    /// Runs a program inside to its end, which must be a good one, and gives its output.
    @discardableResult
    func run(_ arguments: String..., input: String = "/dev/null", output: String? = nil) throws -> String {
        try scratch.run(["ip", "netns", "exec", name] + arguments, input: input, output: output)
    }

    /// Starts `tcp serve` and waits until it is ready.
    func serve(_ options: [String], tun: String = "tcp0") throws -> Running {
        let arguments =
            ["ip", "netns", "exec", name, Kernel.command, "serve", "--tun", tun, "--address", "\(Namespace.ours4)/24"]
            + ["--address", "\(Namespace.ours6)/64"] + options
        let running = try scratch.start(arguments)
        try running.waitFor("Ready.")
        return running
    }

    /// Starts `tcp serve --tap` and waits until it is ready, its addresses detected to be nobody else's.
    func serveTAP(
        _ options: [String], addresses: [String] = ["\(Namespace.ours4)/24", "\(Namespace.ours6)/64"]
    ) throws -> Running {
        let arguments =
            ["ip", "netns", "exec", name, Kernel.command, "serve", "--tap", "tcp0", "--mac", Namespace.station]
            + addresses.flatMap { ["--address", $0] } + options
        let running = try scratch.start(arguments)
        try running.waitFor("Ready.")
        return running
    }

    /// Joins this namespace with another by a pair of interfaces of one name, each with its addresses.
    func join(_ other: Namespace, _ link: String, mtu: Int, _ here: [String], _ there: [String]) throws {
        try scratch.run([
            "ip", "-n", name, "link", "add", link, "mtu", "\(mtu)", "type", "veth", "peer", "name", link, "mtu",
            "\(mtu)", "netns", other.name,
        ])
        for (space, addresses) in [(self, here), (other, there)] {
            for address in addresses {
                let flags = address.contains(":") ? ["nodad"] : []
                try scratch.run(["ip", "-n", space.name, "addr", "add", address, "dev", link] + flags)
            }
            try scratch.run(["ip", "-n", space.name, "link", "set", link, "up"])
        }
    }

    /// Lets the kernel here pass packets on.
    func forward() throws {
        for setting in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            try run("sh", "-c", "echo 1 > /proc/sys/net/\(setting)")
        }
    }

    /// Waits until something listens on a port here.
    func waitForPort(_ port: Int) throws {
        let wanted = String(port, radix: 16, uppercase: true)
        let hex = String(repeating: "0", count: 4 - wanted.utf8.count) + wanted
        for _ in 0..<400 {
            let tables = try run("cat", "/proc/net/tcp", "/proc/net/tcp6")
            if tables.split(separator: "\n").contains(where: { $0.contains(":\(hex) ") && $0.contains(" 0A ") }) {
                return
            }
            usleep(25_000)
        }
        throw Running.Failure("nothing listens on port \(port)")
    }

    /// Waits until the kernel uses its own addresses on the interface: it, too, looks whether somebody has them.
    func waitForKernelAddresses() throws {
        for _ in 0..<400 {
            let text = try run("ip", "-6", "addr", "show", "dev", "tcp0")
            if text.contains("inet6 fe80:"), !text.contains("tentative") { return }
            usleep(25_000)
        }
        throw Running.Failure("the kernel's addresses stay tentative")
    }

    /// Ends `tcp serve` as Ctrl-C does, and expects it to end well.
    func stop(_ running: Running) throws {
        running.signal(SIGINT)
        let status = try running.wait(seconds: 20)
        #expect(status == 0, "tcp serve ended with \(status): \(contents(of: running.errors))")
    }

    /// What SIGUSR1 makes a serving command print: its connections, with their states.
    func connections(of running: Running) throws -> [String] {
        let before = contents(of: running.errors).split(separator: "\n").count
        running.signal(SIGUSR1)
        for _ in 0..<2000 {
            let lines = contents(of: running.errors).split(separator: "\n").map(String.init)
            if lines.count > before,
                let start = lines[before...].firstIndex(where: { $0.contains("connections; the stack") })
            {
                let count = Int(lines[start].split(separator: " ")[0]) ?? 0
                if lines.count > start + count { return Array(lines[(start + 1)..<(start + 1 + count)]) }
            }
            usleep(5000)
        }
        throw Running.Failure("no report: \(contents(of: running.errors))")
    }

    /// Waits until the connections of `running` are as `isRight` wants them.
    func waitForConnections(_ running: Running, _ isRight: ([String]) -> Bool) throws -> [String] {
        var last: [String] = []
        for _ in 0..<400 {
            last = try connections(of: running)
            if isRight(last) { return last }
            usleep(25_000)
        }
        return last
    }
}

/// The hash of a file.
func hash(_ scratch: Scratch, _ path: String) throws -> String {
    String(try scratch.run(["sha256sum", path]).prefix(64))
}

#if DEBUG
    /// Octets of a bulk transfer: code without optimization carries few.
    let bulkOctets = 3_000_000
#else
    let bulkOctets = 100_000_000
#endif
