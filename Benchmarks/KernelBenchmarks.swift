import CLinux
import Glibc
import TCPEngine
import TCPRuntime
import TCPStack
import TCPWire

/// The benchmarks with the kernel at the other end.
let kernelBenchmarks = [
    Benchmark(name: "kernel", summary: "the kernel's TCP to ours over TUN, beside the kernel to itself over veth") {
        context in
        try runKernelBenchmarks(quick: context.isQuick) { name, value, unit in
            let parts = name.split(separator: ",", maxSplits: 1)
            context.report.add(
                parts.count > 1 ? String(parts[1].drop { $0 == " " }) : "", String(parts[0]), value, unit)
        }
    }
]

/// Our TCP against the kernel's over TUN, beside the kernel against itself over veth, in one run: throughput each way,
/// request and response, connections per second; and what `tcp serve` holds resident.
///
/// - Parameters:
///   - quick: shorter measurements.
///   - report: is given name, value and unit of each figure.
/// - Throws: `BenchmarkFailure` without root, `/dev/net/tun` or `ip`.
func runKernelBenchmarks(quick: Bool, report: (String, Double, String) -> Void) throws {
    guard geteuid() == 0, access("/dev/net/tun", R_OK | W_OK) == 0 else {
        throw BenchmarkFailure("the kernel benchmarks need root and /dev/net/tun")
    }
    signal(SIGPIPE, SIG_IGN)
    let place = try KernelPlace()
    let rounds = quick ? 3 : 5
    let seconds = quick ? 0.7 : 2.0
    let ours = try OurHost(place, offload: true)
    // The other one, without offload, has its own interface and address.
    let plain = try OurHost(place, offload: false)
    defer {
        ours.stop()
        plain.stop()
    }
    let veth = try VethServices(place, connections: quick ? 600 : 2500, rounds: rounds)
    func median(_ measure: () throws -> Double) throws -> Double {
        try (0..<rounds).map { _ in try measure() }.sorted()[rounds / 2]
    }
    func inLeft<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
        try NamespaceThread(place.leftFile, body).join()
    }

    // Rounds take turns, so that a busy moment of the machine meets all alike.
    var sends: [[Double]] = [[], [], []]
    var receives: [[Double]] = [[], [], []]
    var medians: [[Double]] = [[], []]
    var tails: [[Double]] = [[], []]
    var opens: [[Double]] = [[], []]
    let addresses = [KernelPlace.rightVeth, ours.address, plain.address]
    let exchanges = quick ? 3000 : 10_000
    for _ in 0..<rounds {
        for (index, address) in addresses.enumerated() {
            sends[index].append(try inLeft { try KernelPeer.sendFor(seconds, to: address) })
            receives[index].append(try inLeft { try KernelPeer.receiveFor(seconds, from: address) })
        }
        for (index, address) in addresses.prefix(2).enumerated() {
            let times = try inLeft { try KernelPeer.exchange(exchanges, size: 64, with: address) }
            medians[index].append(Double(times[times.count / 2]))
            tails[index].append(Double(times[times.count * 99 / 100]))
            let count = veth.connectionsPerRound
            opens[index].append(try inLeft { try KernelPeer.openAndClose(count, to: address) })
        }
    }
    try veth.finish()
    func middle(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
    let names = ["kernel to kernel over veth", "TUN with offload", "TUN without offload"]
    for index in 0..<3 {
        report("throughput kernel -> ours, \(names[index])", middle(sends[index]) / 1e9, "Gbit/s")
        report("throughput ours -> kernel, \(names[index])", middle(receives[index]) / 1e9, "Gbit/s")
    }
    report("share of veth, kernel -> ours, offload (0.7 wanted)", middle(sends[1]) / middle(sends[0]), "x")
    report("share of veth, ours -> kernel, offload (0.7 wanted)", middle(receives[1]) / middle(receives[0]), "x")
    for index in 0..<2 {
        report("request/response p50, \(names[index])", middle(medians[index]) / 1000, "us")
        report("request/response p99, \(names[index])", middle(tails[index]) / 1000, "us")
        report("connections opened and closed, \(names[index])", middle(opens[index]), "1/s")
    }
    report("p50 beside veth's (at most 1.2 wanted)", middle(medians[1]) / middle(medians[0]), "x")
    try reportResidentSize(place, quick: quick, report: report)
}

/// Our host on a TUN interface in the left namespace, with the services that the kernel peers talk to.
private final class OurHost: @unchecked Sendable {
    let address: String
    private let loop: EventLoop
    private var thread: NamespaceThread<Void>?

    init(_ place: KernelPlace, offload: Bool) throws {
        let network = offload ? "10.79.0" : "10.80.0"
        let name = offload ? "tcp0" : "tcp1"
        address = "\(network).2"
        loop = try EventLoop()
        let loop = self.loop
        let prefix = AddressPrefix("\(network).2/24")!
        thread = try NamespaceThread(place.leftFile) {
            let device = try TUNDevice(name: name, offload: offload)
            guard device.offload.superSegments == offload else { throw BenchmarkFailure("the kernel has no offload") }
            try Interface.configure(name, links: [Interface.Link(stack: prefix)], mtu: 1500)
            let host = Host(device: device, addresses: [prefix], loop: loop)
            try loop.run {
                try await withThrowingDiscardingTaskGroup { group in
                    group.addTask { try await serve(host, KernelPeer.sink, discard) }
                    group.addTask { try await serve(host, KernelPeer.source, pour) }
                    group.addTask { try await serve(host, KernelPeer.echo, reflect) }
                }
            }
        }
    }

    func stop() {
        loop.stop()
        _ = try? thread?.join()
    }
}

private func serve(
    _ host: Host, _ port: UInt16, _ body: @escaping @Sendable (TCPConnection) async throws -> Void
) async throws {
    var options = ConnectionOptions()
    options.noDelay = true
    let listener = try await host.listen(on: port, options: options)
    try await withThrowingDiscardingTaskGroup { group in
        while let connection = try await listener.accept() {
            group.addTask {
                try? await body(connection)
                await connection.close()
            }
        }
    }
}

@Sendable private func discard(_ connection: TCPConnection) async throws {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
    defer { buffer.deallocate() }
    var octets = buffer.mutableBytes
    while try await connection.read(into: &octets) > 0 {}
}

@Sendable private func pour(_ connection: TCPConnection) async throws {
    // As much a write as the kernel's own source.
    let bytes = [UInt8](repeating: 0x55, count: 256 << 10)
    while true { try await connection.write(bytes) }
}

@Sendable private func reflect(_ connection: TCPConnection) async throws {
    while let bytes = try await connection.read() { try await connection.write(bytes) }
}

/// The kernel's own services in the right namespace, each on a thread.
private final class VethServices {
    let connectionsPerRound: Int
    private var threads: [NamespaceThread<Void>] = []

    init(_ place: KernelPlace, connections: Int, rounds: Int) throws {
        connectionsPerRound = connections
        // A bulk connection a round, and those that are only opened.
        let sinks = rounds * (1 + connections)
        threads.append(
            try NamespaceThread(place.rightFile) {
                try KernelPeer.serve(KernelPeer.sink, count: sinks) { KernelPeer.drain($0) }
            })
        threads.append(
            try NamespaceThread(place.rightFile) {
                try KernelPeer.serve(KernelPeer.source, count: rounds) { KernelPeer.pour($0) }
            })
        threads.append(
            try NamespaceThread(place.rightFile) {
                try KernelPeer.serve(KernelPeer.echo, count: rounds) { KernelPeer.reflect($0) }
            })
    }

    func finish() throws {
        for thread in threads { try thread.join() }
    }
}

/// What `tcp serve` holds resident: idle, and after bulk both ways.
private func reportResidentSize(
    _ place: KernelPlace, quick: Bool, report: (String, Double, String) -> Void
) throws {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    let path = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let command =
        path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") + "/tcp"
    guard access(command, X_OK) == 0 else { throw BenchmarkFailure("\(command) is not built") }
    let pid = try spawn(
        [
            "ip", "netns", "exec", place.left, command, "serve", "--tun", "tcp2", "--address", "10.81.0.2/24",
            "--discard",
            "\(KernelPeer.sink)", "--chargen", "\(KernelPeer.source)",
        ], silent: true)
    defer {
        kill(pid, SIGTERM)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
    }
    // A first connection shows that it is ready.
    _ = try NamespaceThread(place.leftFile) { close(try KernelPeer.connect(to: "10.81.0.2", KernelPeer.sink)) }.join()
    usleep(100_000)
    report("RSS of tcp serve, idle (at most 8 wanted)", residentMegabytes(pid), "MB")
    let seconds = quick ? 0.5 : 2.0
    _ = try NamespaceThread(place.leftFile) { try KernelPeer.sendFor(seconds, to: "10.81.0.2") }.join()
    _ = try NamespaceThread(place.leftFile) { try KernelPeer.receiveFor(seconds, from: "10.81.0.2") }.join()
    usleep(200_000)
    report("RSS of tcp serve, after bulk both ways", residentMegabytes(pid), "MB")
}

private func residentMegabytes(_ pid: pid_t) -> Double {
    let file = open("/proc/\(pid)/status", O_RDONLY)
    guard file >= 0 else { return .nan }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 8192)
    let count = bytes.withUnsafeMutableBytes { read(file, $0.baseAddress!, $0.count) }
    let text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }) else { return .nan }
    return (Double(line.split(whereSeparator: { $0 == " " || $0 == "\t" })[1]) ?? .nan) * 1024 / 1e6
}
