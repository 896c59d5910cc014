import CLinux
import Glibc
import TCPRuntime
import TCPStack
import TCPWire
import Testing

/// TUN interfaces without a stack on them.
@Suite("TUN interfaces", .serialized, .enabled(if: Kernel.isWanted, Kernel.comment))
struct TUNTests {
    @Test("The kernel's datagrams come in, and what is written goes back", arguments: [true, false])
    func echo(offload: Bool) throws {
        let space = try Namespace()
        let interface = try inNamespace(space) {
            let device = try TUNDevice(name: "tcp0", offload: offload)
            let links = [
                try Interface.Link(stack: AddressPrefix("10.77.0.2/24")!),
                try Interface.Link(stack: AddressPrefix("fd77::2/64")!),
                try Interface.Link(stack: AddressPrefix("10.99.0.9/32")!, peer: IPAddress("10.99.0.1")!),
            ]
            try Interface.configure("tcp0", links: links, mtu: 1400)
            try device.refreshMTU()
            return Held(device)
        }
        let device = interface.device
        #expect(device.mtu == 1400)
        #expect(device.offload == (offload ? .full : .none))
        #expect(!device.wasThere)
        let addresses = try space.run("ip", "-o", "addr", "show", "dev", "tcp0")
        #expect(addresses.contains("inet 10.77.0.3/24"))
        #expect(addresses.contains("inet 10.99.0.1 peer 10.99.0.9/32"))
        #expect(addresses.contains("inet6 fd77::3/64 scope global nodad"))
        #expect(!addresses.contains("tentative"))
        let program = """
            import socket, sys
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.settimeout(10)
            for size in [1, 100, 1300]:
                s.sendto(bytes(range(size % 256)) * 5, (sys.argv[1], 7))
                assert s.recv(65536) == bytes(range(size % 256)) * 5
            """
        for target in ["10.77.0.2", "10.77.0.99", "10.99.0.9"] {
            let client = try space.start("python3", "-c", program, target)
            while client.poll() == nil { try answer(device) }
            #expect(try client.wait() == 0, "\(target): \(contents(of: client.errors))")
        }
        device.close()
        #expect(!(try space.run("ip", "link")).contains("tcp0"))
    }

    @Test("A name that is held, or is no TUN interface's, or may not be made, is an error that says so")
    func errors() throws {
        let space = try Namespace()
        try space.run("ip", "link", "add", "bridge0", "type", "bridge")
        try space.run("ip", "tuntap", "add", "mode", "tun", "name", "tcp1")
        let faults = try inNamespace(space) { () throws -> [DeviceError] in
            let first = try TUNDevice(name: "tcp0")
            defer { first.close() }
            var faults: [DeviceError] = []
            for name in ["tcp0", "bridge0", "lo"] {
                do throws(DeviceError) {
                    _ = try TUNDevice(name: name)
                } catch {
                    faults.append(error)
                }
            }
            let attached = try TUNDevice(name: "tcp1")
            #expect(attached.wasThere)
            return faults
        }
        #expect(faults == [.busy("tcp0"), .notTUN("bridge0"), .notTUN("lo")])
    }

    /// Sends the UDP datagrams that wait back to where they came from.
    private func answer(_ device: TUNDevice) throws {
        var bytes = [UInt8](repeating: 0, count: 65_600)
        var span = bytes.mutableSpan
        var packet = span.mutableBytes
        guard let received = try device.read(into: &packet) else {
            usleep(1000)
            return
        }
        guard let header = try? IPHeader(parsing: packet.bytes.extracting(0..<received.length)),
            header.protocolNumber == IPProtocol.udp
        else { return }
        let end = header.totalLength
        let ports = packet.bytes.be32(header.headerLength)
        IPHeader(source: header.destination, destination: header.source, protocolNumber: IPProtocol.udp)
            .write(to: &packet, payloadLength: end - 20)
        packet.put32(ports &<< 16 | ports &>> 16, at: 20)
        // No checksum: IPv4 allows that.
        packet.put16(0, at: 26)
        let shape = TransmittedPacket(length: end, headerLength: 20, transportOffset: 20)
        #expect(try device.write(packet.bytes.extracting(0..<end), shape))
    }

    /// A device that changes threads once.
    private final class Held: @unchecked Sendable {
        let device: TUNDevice
        init(_ device: TUNDevice) { self.device = device }
    }
}

/// Runs `body` on a thread inside the namespace; the rest of the process stays where it is.
func inNamespace<Value: Sendable>(_ space: Namespace, _ body: @escaping @Sendable () throws -> Value) throws -> Value {
    let work = NamespaceWork(path: "/run/netns/\(space.name)", body)
    var thread = pthread_t()
    let box = Unmanaged.passRetained(ThreadBody { work.run() }).toOpaque()
    let status = pthread_create(
        &thread, nil,
        { box in
            Unmanaged<ThreadBody>.fromOpaque(box!).takeRetainedValue().run()
            return nil
        }, box)
    guard status == 0 else { throw Running.Failure("no thread") }
    pthread_join(thread, nil)
    return try work.result!.get()
}

private final class ThreadBody {
    let run: () -> Void
    init(_ run: @escaping () -> Void) { self.run = run }
}

private final class NamespaceWork<Value: Sendable>: @unchecked Sendable {
    private let path: String
    private let body: @Sendable () throws -> Value
    var result: Result<Value, any Error>?

    init(path: String, _ body: @escaping @Sendable () throws -> Value) {
        self.path = path
        self.body = body
    }

    func run() {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        defer { close(file) }
        guard file >= 0, linux_enter_network_namespace(file) == 0 else {
            result = .failure(Running.Failure("cannot enter \(path)"))
            return
        }
        result = Result { try body() }
    }
}
