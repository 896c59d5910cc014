import CLinux
import Glibc
import TCPEngine
import TCPRuntime
import TCPSimulator
import TCPStack
import TCPWire

/// A server at the end of its memory, as a process of its own behind a TUN interface.
let loadBenchmarks = [
    Benchmark(
        name: "load",
        summary: "a server of 8 MiB over TUN: transfers among peers that vanish or never read, and a flood of SYNs"
    ) { context in
        try LoadBenchmark(quick: context.isQuick).run { variant, metric, value, unit in
            context.report.add(variant, metric, value, unit)
        }
    }
]

/// The simulator's load (`LoadGenerator`) in real time: two TUN interfaces in a namespace, and the kernel forwards between
/// them.
struct LoadBenchmark {
    static let server = Endpoint(IPAddress(10, 0, 0, 1), 80)
    static let budget = 8 << 20
    let quick: Bool

    private var load: Load {
        var load = Load(server: LoadBenchmark.server)
        if quick {
            load.transferring = 200
            load.neverReading = 20
            load.vanishing = 20
            load.opening = .seconds(2)
        }
        return load
    }

    /// The longest that is waited for transfers to end, in seconds. Peers that vanished hold their memory until R2, and
    /// who came when there was none left tries again.
    private var patience: Int64 { quick ? 20 : 900 }

    func run(report: (String, String, Double, String) -> Void) throws {
        guard geteuid() == 0, access("/dev/net/tun", R_OK | W_OK) == 0 else {
            throw BenchmarkFailure("the load over TUN needs root and /dev/net/tun")
        }
        let name = "swift-tcp-load-\(getpid())"
        try shell("ip", "netns", "add", name)
        defer { _ = try? shell("ip", "netns", "del", name) }
        let answer = "/tmp/\(name).txt"
        defer { unlink(answer) }
        let child = try spawn(
            ["ip", "netns", "exec", name, "/proc/\(getpid())/exe", LoadServing.option, answer], silent: false)
        defer {
            kill(child, SIGKILL)
            var status: Int32 = 0
            waitpid(child, &status, 0)
        }
        let file = open("/run/netns/\(name)", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw BenchmarkFailure("cannot open /run/netns/\(name)") }
        defer { close(file) }
        let load = load
        let patience = patience
        let result = try NamespaceThread(file) { try LoadBenchmark.generate(load, patience, in: name) }.join()
        kill(child, SIGTERM)
        var status: Int32 = 0
        waitpid(child, &status, 0)
        let served = try String(readingLinesOf: answer)
        for line in served.split(separator: "\n") {
            let fields = line.split(separator: "\t")
            if fields.count == 3, let value = Double(fields[1]) {
                report("server", String(fields[0]), value, String(fields[2]))
            }
        }
        report("peers", "transfers that ended right", Double(result.served), "of \(load.transferring)")
        report("peers", "octets that came back right", Double(result.octets), "B")
        report("peers", "forged SYNs", Double(result.forged), "")
        report("peers", "time", result.seconds, "s")
    }

    private struct Generated: Sendable {
        var served: Int
        var octets: Int
        var forged: Int
        var seconds: Double
    }

    /// Plays the peers until every transfer has ended, or `patience` seconds have passed.
    private static func generate(_ load: Load, _ patience: Int64, in name: String) throws -> Generated {
        let device = try TUNDevice(name: "peers", offload: false)
        for setting in ["net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0"] {
            try shell("ip", "netns", "exec", name, "sysctl", "-qw", setting)
        }
        try shell("ip", "-n", name, "link", "set", "peers", "up", "txqueuelen", "10000")
        try shell("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.conf.peers.rp_filter=0")
        try shell("ip", "-n", name, "route", "add", "default", "dev", "peers")
        for _ in 0..<500 where !Interface.isUp("server") { usleep(10_000) }
        let start = MonotonicClock.now()
        var generator = LoadGenerator(load, at: start)
        var octets = [UInt8](repeating: 0, count: 2048)
        var now = start
        while !generator.isServed, now.nanoseconds - start.nanoseconds < patience * 1_000_000_000 {
            now = MonotonicClock.now()
            var work = false
            for _ in 0..<256 {
                guard let packet = try read(device, &octets) else { break }
                generator.receive(packet, at: now)
                work = true
            }
            generator.advance(to: now)
            for _ in 0..<256 {
                guard let packet = generator.transmit(at: now) else { break }
                let shape = TransmittedPacket(length: packet.count, headerLength: packet.count, transportOffset: 20)
                while try !device.write(packet.span.bytes, shape) { usleep(100) }
                work = true
            }
            if !work { usleep(200) }
        }
        let seconds = Double(now.nanoseconds - start.nanoseconds) / 1e9
        return Generated(
            served: generator.served, octets: generator.octets, forged: generator.forged, seconds: seconds)
    }

    private static func read(_ device: TUNDevice, _ octets: inout [UInt8]) throws -> [UInt8]? {
        let length: Int?
        do {
            var span = octets.mutableSpan
            var bytes = span.mutableBytes
            length = try device.read(into: &bytes)?.length
        }
        return length.map { Array(octets[..<$0]) }
    }
}

/// The server's process: `benchmarks --load-server FILE` serves until SIGTERM and writes what it held to the file.
enum LoadServing {
    static let option = "--load-server"

    static func run(answer: String) throws {
        let stop = SignalFlag(SIGTERM)
        let device = try TUNDevice(name: "server", offload: false)
        var configuration = Configuration()
        configuration.memoryBudget = LoadBenchmark.budget
        // The least that RFC 9293 §3.8.3 allows: vanished peers are noticed in a run's time.
        configuration.userTimeout = .seconds(100)
        configuration.mtu = device.mtu
        var server = try LoadServer(configuration, on: LoadBenchmark.server, at: MonotonicClock.now())
        try shell("ip", "link", "set", "server", "txqueuelen", "10000", "up")
        try shell("sysctl", "-qw", "net.ipv4.conf.server.rp_filter=0")
        try shell("ip", "route", "add", "10.0.0.1/32", "dev", "server")
        let empty = residentBytes()
        var octets = [UInt8](repeating: 0, count: 65_600)
        var peak = 0
        var peakResident = empty
        var turns = 0
        while !stop.isRaised {
            let worked = try turn(device, &server, &octets)
            peak = max(peak, server.stack.memory.total)
            turns += 1
            if turns % 512 == 0 { peakResident = max(peakResident, residentBytes()) }
            if !worked { usleep(100) }
        }
        peakResident = max(peakResident, residentBytes())
        let counters = server.stack.counters
        let lines = [
            "budget\t\(LoadBenchmark.budget)\tB", "most accounted\t\(peak)\tB",
            "resident before the load\t\(empty)\tB", "most resident\t\(peakResident)\tB",
            "connections accepted\t\(server.accepted)\t", "cookies sent\t\(counters.cookiesSent)\t",
            "TIME-WAIT cut short\t\(counters.timeWaitsCutShort)\t", "orphans reset\t\(counters.orphansReset)\t",
        ]
        guard let file = fopen(answer, "w") else { throw BenchmarkFailure("cannot write \(answer)") }
        fputs(lines.joined(separator: "\n") + "\n", file)
        fclose(file)
    }

    /// One burst each way; says whether anything came or went.
    private static func turn(
        _ device: TUNDevice, _ server: inout LoadServer, _ octets: inout [UInt8]
    ) throws -> Bool {
        var worked = false
        let now = MonotonicClock.now()
        var span = octets.mutableSpan
        var bytes = span.mutableBytes
        for _ in 0..<64 {
            guard let packet = try device.read(into: &bytes) else { break }
            server.stack.receive(bytes.bytes.extracting(0..<packet.length), metadata: packet.metadata, at: now)
            worked = true
        }
        server.stack.advance(to: now)
        server.run(at: now)
        for _ in 0..<256 {
            guard let packet = server.stack.transmit(into: &bytes, at: now) else { break }
            while try !device.write(bytes.bytes.extracting(0..<packet.length), packet) { usleep(50) }
            worked = true
        }
        return worked
    }
}

/// A signal that was caught.
private final class SignalFlag {
    nonisolated(unsafe) private static var raised: sig_atomic_t = 0
    init(_ number: Int32) { signal(number) { _ in SignalFlag.raised = 1 } }
    var isRaised: Bool { SignalFlag.raised != 0 }
}

extension String {
    fileprivate init(readingLinesOf path: String) throws {
        guard let file = fopen(path, "r") else { throw BenchmarkFailure("cannot read \(path)") }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = fread(&bytes, 1, bytes.count, file)
        self = String(decoding: bytes[..<count], as: UTF8.self)
    }
}
