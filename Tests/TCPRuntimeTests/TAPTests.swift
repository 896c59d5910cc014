import CLinux
import Glibc
import TCPRuntime
import TCPStack
import TCPWire
import Testing

/// TAP interfaces without a stack on them.
@Suite("TAP interfaces", .serialized, .enabled(if: Kernel.isWanted, Kernel.comment))
struct TAPTests {
    private let station = MACAddress(Namespace.station)!

    @Test("The kernel's frames come in with their headers, and what is written goes back", arguments: [true, false])
    func frames(offload: Bool) throws {
        let space = try Namespace()
        let interface = try inNamespace(space) { [station] in
            let device = try TAPDevice(name: "tcp0", address: station, offload: offload)
            let links = [try Interface.Link(stack: AddressPrefix("10.77.0.2/24")!)]
            try Interface.configure("tcp0", links: links, mtu: 1400)
            try device.refreshMTU()
            return Held(device)
        }
        let device = interface.device
        #expect(device.mtu == 1400)
        #expect(device.linkLayer == .ethernet(station))
        #expect(device.offload == (offload ? .full : .none))
        #expect(!device.wasThere)
        let text = try space.run("ip", "-o", "link", "show", "dev", "tcp0")
        let words = text.split(separator: " ").drop { $0 != "link/ether" }
        let kernel = try #require(words.dropFirst().first.flatMap { MACAddress($0) })
        #expect(kernel != station)
        let program = """
            import socket, sys
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.settimeout(10)
            for size in [1, 100, 1300]:
                s.sendto(bytes(range(size % 256)) * 5, (sys.argv[1], 7))
                assert s.recv(65536) == bytes(range(size % 256)) * 5
            """
        let client = try space.start("python3", "-c", program, Namespace.ours4)
        while client.poll() == nil { try answer(device, kernel: kernel) }
        #expect(try client.wait() == 0, "\(contents(of: client.errors))")
        #expect(try space.run("ip", "neigh", "show", "dev", "tcp0").contains("10.77.0.2 lladdr \(station)"))
        device.close()
        #expect(!(try space.run("ip", "link")).contains("tcp0"))
    }

    @Test("A name that is held, or is no TAP interface's, or a group's address for a station, is an error that says so")
    func errors() throws {
        let space = try Namespace()
        try space.run("ip", "tuntap", "add", "mode", "tun", "name", "tun0")
        try space.run("ip", "tuntap", "add", "mode", "tap", "name", "tcp1")
        let faults = try inNamespace(space) { () throws -> [DeviceError] in
            let first = try TAPDevice(name: "tcp0")
            defer { first.close() }
            var faults: [DeviceError] = []
            for (name, address) in [
                ("tcp0", "02:00:5e:10:00:01"), ("tun0", "02:00:5e:10:00:01"), ("lo", "02:00:5e:10:00:01"),
                ("tcp2", "01:00:5e:00:00:01"),
            ] {
                do throws(DeviceError) {
                    _ = try TAPDevice(name: name, address: MACAddress(address)!)
                } catch {
                    faults.append(error)
                }
            }
            do throws(DeviceError) {
                _ = try TUNDevice(name: "tcp1")
            } catch {
                faults.append(error)
            }
            let attached = try TAPDevice(name: "tcp1")
            #expect(attached.wasThere)
            return faults
        }
        #expect(faults.count == 5)
        #expect(Array(faults.prefix(3)) == [.busy("tcp0"), .notTAP("tun0"), .notTAP("lo")])
        #expect(faults[3].explanation.hasPrefix("01:00:5e:00:00:01 cannot be a station's address:"))
        #expect(faults[4] == .notTUN("tcp1"))
    }

    @Test("A random address is one station's and locally administered, and not the same twice")
    func randomAddresses() {
        let addresses = (0..<100).map { _ in MACAddress.random() }
        #expect(Set(addresses).count == 100)
        for address in addresses { #expect(address.isUnicast && address.rawValue &>> 40 & 3 == 2) }
    }

    /// Answers ARP requests for every address, and sends UDP datagrams back to where they came from.
    private func answer(_ device: TAPDevice, kernel: MACAddress) throws {
        guard let got = try frame(of: device) else {
            usleep(1000)
            return
        }
        guard let header = try? EthernetHeader(parsing: got.span.bytes) else { return }
        #expect(header.source == kernel)
        let body = got.span.bytes.extracting(14..<got.count)
        var answer: [UInt8]
        switch header.payload {
        case .arp:
            #expect(header.destination == .broadcast)
            answer = [UInt8](repeating: 0, count: 14 + ARPPacket.length)
            let request = try ARPPacket(parsing: body)
            var span = answer.mutableSpan
            var bytes = span.mutableBytes
            ARPPacket(
                .reply, senderHardware: station, sender: request.target, targetHardware: kernel, target: request.sender
            ).write(to: &bytes, at: 14)
        case .ipv4:
            guard let ip = try? IPHeader(parsing: body), ip.protocolNumber == IPProtocol.udp else { return }
            #expect(header.destination == station)
            answer = Array(got.prefix(14 + ip.totalLength))
            let ports = body.be32(20)
            var span = answer.mutableSpan
            var bytes = span.mutableBytes
            var packet = bytes._mutatingExtracting(14..<bytes.byteCount)
            IPHeader(source: ip.destination, destination: ip.source, protocolNumber: IPProtocol.udp)
                .write(to: &packet, payloadLength: ip.totalLength - 20)
            packet.put32(ports &<< 16 | ports &>> 16, at: 20)
            // No checksum: IPv4 allows that.
            packet.put16(0, at: 26)
        case .ipv6: return
        }
        do {
            var span = answer.mutableSpan
            var bytes = span.mutableBytes
            EthernetHeader(destination: kernel, source: station, payload: header.payload).write(to: &bytes)
        }
        let shape = TransmittedPacket(length: answer.count, headerLength: answer.count, transportOffset: answer.count)
        #expect(try device.write(answer.span.bytes, shape))
    }

    /// The next frame that waits.
    private func frame(of device: TAPDevice) throws -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 65_632)
        var span = bytes.mutableSpan
        var buffer = span.mutableBytes
        guard let received = try device.read(into: &buffer) else { return nil }
        return Array(bytes.prefix(received.length))
    }

    /// A device that changes threads once.
    private final class Held: @unchecked Sendable {
        let device: TAPDevice
        init(_ device: TAPDevice) { self.device = device }
    }
}
