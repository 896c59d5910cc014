import ArgumentParser
import CLinux
import Glibc
import TCPRuntime
import TCPStack
import TCPWire

/// `on` or `off`.
enum Switch: String, ExpressibleByArgument, CaseIterable {
    case on
    case off
}

/// The options about the interface, common to `serve` and `connect`.
struct LinkOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The TUN interface: made and configured if it is not there, attached to as it is if it is.",
            valueName: "name"))
    var tun: String

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "An address of our stack with its prefix, as 10.9.0.2/24 or fd09::2/64. May be given more than once.",
            valueName: "cidr"))
    var address: [String]

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "The kernel's own address at its end of the interface; the first of a family goes with the first --address of that family. Without it the next host address of the prefix is taken.",
            valueName: "address"))
    var peer: [String] = []

    @Option(help: "The interface's MTU in octets: 68 to 65535, with IPv6 at least 1280.")
    var mtu: Int?

    @Option(help: "Whether 64 KiB cross to the kernel in one call, if it can.")
    var offload: Switch = .on

    @Option(help: ArgumentHelp("Write every packet to this capture file.", valueName: "file"))
    var pcap: String?

    @Flag(help: "Print one line for every packet on standard error.")
    var trace = false

    func validate() throws {
        _ = try links()
        if let mtu {
            let least = try links().contains { !$0.kernel.isIPv4 } ? 1280 : 68
            guard (least...65_535).contains(mtu) else {
                throw ValidationError("--mtu \(mtu) is out of range: use \(least) to 65535.")
            }
        }
    }

    /// The addresses of both ends.
    func links() throws -> [Interface.Link] {
        guard !address.isEmpty else { throw ValidationError("Give our stack an address: --address 10.9.0.2/24.") }
        var peers = try peer.map { text in
            guard let address = IPAddress(text) else {
                throw ValidationError("--peer '\(text)' is no address: write it as 10.9.0.1 or fd09::1.")
            }
            return address
        }
        var seen: Set<IPAddress> = []
        let links: [Interface.Link] = try address.map { text in
            guard let prefix = AddressPrefix(text), prefix.address.isValidSource, !prefix.address.isLoopback else {
                throw ValidationError("--address '\(text)' is no host address with a prefix: write it as 10.9.0.2/24.")
            }
            guard seen.insert(prefix.address).inserted else {
                throw ValidationError("--address \(prefix.address) is given twice.")
            }
            let index = peers.firstIndex { $0.isIPv4 == prefix.address.isIPv4 }
            do {
                return try Interface.Link(stack: prefix, peer: index.map { peers.remove(at: $0) })
            } catch {
                throw ValidationError(explanation(of: error))
            }
        }
        guard peers.isEmpty else {
            throw ValidationError("--peer \(peers[0]) has no --address of its family to go with.")
        }
        guard Set(links.map(\.kernel)).isDisjoint(with: seen) else {
            throw ValidationError(
                "An address is given to both ends: the kernel's and ours must differ; name the kernel's with --peer.")
        }
        return links
    }
}

/// An interface that is open, with what watches its packets.
struct OpenLink {
    var host: Host
    var device: LinkDescription
    var capture: CaptureFile?
}

/// What there is to say about an interface.
struct LinkDescription: Sendable {
    var name: String
    var mtu: Int
    var hasOffload: Bool
    var wasThere: Bool
    var isUp: Bool
}

extension LinkOptions {
    /// Opens the interface and puts a host on it.
    func open(on loop: EventLoop, configuration: Configuration = Configuration()) throws -> OpenLink {
        let links = try links()
        let capture = try pcap.map { try CaptureFile(path: $0) }
        let tun = try TUNDevice(name: self.tun, offload: offload == .on)
        if !tun.wasThere { try Interface.configure(self.tun, links: links, mtu: mtu ?? 1500) }
        try tun.refreshMTU(limit: mtu)
        guard tun.mtu >= 1280 || links.allSatisfy(\.kernel.isIPv4) else {
            throw DeviceError.invalid("\(self.tun) has an MTU of \(tun.mtu): IPv6 needs at least 1280; raise it.")
        }
        let description = LinkDescription(
            name: tun.name, mtu: tun.mtu, hasOffload: tun.offload.superSegments, wasThere: tun.wasThere,
            isUp: Interface.isUp(tun.name))
        let addresses = links.map(\.stack)
        let host: Host
        if capture != nil || trace {
            let line = trace ? TraceLine() : nil
            let device = ObservedDevice(tun) { packet, direction in
                capture?.append(packet)
                line?.print(packet, direction)
            }
            host = Host(device: device, addresses: addresses, configuration: configuration, loop: loop)
        } else {
            host = Host(device: tun, addresses: addresses, configuration: configuration, loop: loop)
        }
        return OpenLink(host: host, device: description, capture: capture)
    }
}
