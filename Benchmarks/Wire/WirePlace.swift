import Glibc
import TCPRuntime
import TCPWire

/// Two namespaces, each with a TUN interface that leads to the other's address: between the two there is nothing but
/// what this program does.
final class WirePlace: @unchecked Sendable {
    static let leftAddress = "10.82.0.1"
    static let rightAddress = "10.82.0.2"

    /// One end.
    struct Site: @unchecked Sendable {
        let space: Namespace
        let device: TUNDevice
        /// The kernel's socket that waits for connections.
        let listener: CInt
    }

    let left: Site
    let right: Site

    init() throws {
        left = try WirePlace.site("wl", WirePlace.leftAddress, peer: WirePlace.rightAddress)
        right = try WirePlace.site("wr", WirePlace.rightAddress, peer: WirePlace.leftAddress)
    }

    deinit {
        close(left.listener)
        close(right.listener)
    }

    private static func site(_ suffix: String, _ address: String, peer: String) throws -> Site {
        let space = try Namespace(suffix)
        try space.set(
            // What a connection learnt would help the next.
            "net.ipv4.tcp_no_metrics_save=1",
            // The kernel's own messages would take turns on the wire.
            "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        let opened = try NamespaceThread(space.file) {
            let device = try TUNDevice(name: "wire", offload: false)
            let link = try Interface.Link(stack: AddressPrefix("\(peer)/32")!, peer: IPAddress(address)!)
            try Interface.configure("wire", links: [link], mtu: 1500)
            return Site(space: space, device: device, listener: try KernelPeer.listen(on: WireExchange.port))
        }.join()
        // Whatever the kernel sends at once waits here: the wire drops by its own rule.
        try shell("ip", "-n", space.name, "link", "set", "wire", "txqueuelen", "20000")
        return opened
    }
}
