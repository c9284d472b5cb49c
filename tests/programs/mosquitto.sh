# mosquitto: 200 messages published and received by MQTT
packages="mosquitto mosquitto-clients"
port=1883
server() {
    printf 'listener 1883\nallow_anonymous true\nuser root\n' >conf
    exec mosquitto -c "$DIR/conf"
}
client() {
    mosquitto_sub -h "$SERVER" -t topic -q 1 -C 200 -W 30 >got &
    until mosquitto_pub -h "$SERVER" -t '$SYS/x' -n && [ -n "$(jobs -r)" ]; do :; done
    seq 200 | sed 's/^/message /' >sent
    # The subscriber may start after the publisher: retained messages wait for it.
    for i in 1 2 3; do mosquitto_pub -h "$SERVER" -t topic -q 1 -l <sent; done
    wait || true
    wc -l <got
}
