import "./app.jsx";
