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
    var tun: String?

    @Option(
        help: ArgumentHelp(
            "Instead of --tun: a TAP interface, on which our stack is a station of an Ethernet segment with ARP and neighbor discovery.",
            valueName: "name"))
    var tap: String?

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "An address of our stack with its prefix, as 10.9.0.2/24 or fd09::2/64. May be given more than once.",
            valueName: "cidr"))
    var address: [String] = []

    @Flag(help: "With --tap: take IPv6 addresses and routes from the segment's routers, and a link-local address.")
    var autoconfigure = false

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "With --tap: the router to everything beyond our prefixes, one of each family at most.",
            valueName: "address"))
    var gateway: [String] = []

    @Option(
        help: ArgumentHelp(
            "With --tap: our address on the segment, as 02:00:5e:10:00:01; by default a random one.",
            valueName: "address"))
    var mac: String?

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
        switch (tun, tap) {
        case (nil, nil): throw ValidationError("Name an interface: --tun NAME, or --tap NAME for one with Ethernet.")
        case (_?, _?):
            throw ValidationError(
                "Give --tun or --tap, not both: a TUN interface carries IP packets, a TAP interface Ethernet frames.")
        case (_?, nil):
            let foreign = [
                (autoconfigure, "--autoconfigure"), (!gateway.isEmpty, "--gateway"), (mac != nil, "--mac"),
            ].first { $0.0 }
            if let foreign {
                throw ValidationError("\(foreign.1) goes with --tap: behind a TUN interface there is no Ethernet.")
            }
        case (nil, _?): break
        }
        _ = try station()
        _ = try gateways()
        if let mtu {
            let least = try usesIPv6() ? 1280 : 68
            guard (least...65_535).contains(mtu) else {
                throw ValidationError("--mtu \(mtu) is out of range: use \(least) to 65535.")
            }
        }
    }

    /// Whether our stack has, or will have, addresses of IPv6.
    func usesIPv6() throws -> Bool { try autoconfigure || links().contains { !$0.kernel.isIPv4 } }

    /// The MAC address that was asked for.
    func station() throws -> MACAddress? {
        guard let mac else { return nil }
        guard let address = MACAddress(mac), address.isUnicast else {
            throw ValidationError("--mac '\(mac)' is no station's address: write it as 02:00:5e:10:00:01.")
        }
        return address
    }

    /// The routers that were named.
    func gateways() throws -> [IPAddress] {
        let links = try links()
        let gateways = try gateway.map { text in
            guard let address = IPAddress(text), address.isValidSource, !address.isLoopback else {
                throw ValidationError("--gateway '\(text)' is no host's address: write it as 10.9.0.1 or fe80::1.")
            }
            let isReachable =
                address.isLinkLocal && !address.isIPv4
                ? try usesIPv6()
                : links.contains { ($0.stack.contains(address) || $0.kernel == address) && $0.stack.address != address }
            guard isReachable else {
                throw ValidationError(
                    "--gateway \(address) is no neighbor of ours: name a router in the prefix of an --address.")
            }
            return address
        }
        for isIPv4 in [true, false] where gateways.count(where: { $0.isIPv4 == isIPv4 }) > 1 {
            throw ValidationError("Two --gateway of one family: give one for IPv4 and one for IPv6 at most.")
        }
        return gateways
    }

    /// The addresses of both ends.
    func links() throws -> [Interface.Link] {
        guard !address.isEmpty || autoconfigure else {
            throw ValidationError(
                tap == nil
                    ? "Give our stack an address: --address 10.9.0.2/24."
                    : "Give our stack an address: --address 10.9.0.2/24, or --autoconfigure for those of routers.")
        }
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
